import { DatabaseSync } from 'node:sqlite'

/** An order of a film, and the hold that pays for it. */
export interface Order {
  id: string
  title: string
  job_id: string
  account_id: string
  /** `held`: to be rendered; `paid`: rendered and charged; `unpaid`: not charged, the person must order again */
  state: 'held' | 'paid' | 'unpaid'
  cost: number | null
}

/** Opens the queue, a table in a file. Its rows survive the process, and so do the holds that they refer to. */
export function openQueue(file: string) {
  const db = new DatabaseSync(file)
  db.exec(`pragma journal_mode = wal; pragma busy_timeout = 5000;
    create table if not exists orders (id text primary key, title text not null, job_id text not null,
      account_id text not null, state text not null default 'held', cost integer)`)
  const insert = db.prepare(
    'insert into orders (id, title, job_id, account_id) values (?, ?, ?, ?) on conflict do nothing',
  )
  const end = db.prepare('update orders set state = ?, cost = ? where id = ?')
  const select = db.prepare('select * from orders order by rowid')
  return {
    /** Adds an order. Does nothing if it exists. */
    add: ({ id, title, job_id, account_id }: Omit<Order, 'state' | 'cost'>) =>
      insert.run(id, title, job_id, account_id),
    end: (id: string, state: 'paid' | 'unpaid', cost: number): void => void end.run(state, cost, id),
    orders: () => select.all() as unknown as Order[],
  }
}

export type Queue = ReturnType<typeof openQueue>
