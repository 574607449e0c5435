import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createFocus } from '@thefocus/client'
import { FOCUS_URL, registerApp, signIn } from '../setup.ts'
import { openQueue } from './queue.ts'
import { APP, takeOrder } from './take-order.ts'
import { work } from './work.ts'

const folder = process.env.DATA_DIR ?? join(import.meta.dirname, 'data')
const file = join(folder, 'setup.json')
const titles = process.argv.length > 2 ? process.argv.slice(2) : ['Alien', 'Metropolis', 'Solaris']

interface Setup {
  /** Stored, because it is shown only once. In production it is a secret in the server's environment */
  settle_key: string
  /** The orders. In production the page that sends an order creates its id, and sends the same id when it repeats the order */
  wanted: { id: string; title: string }[]
}

if (!existsSync(file)) {
  const { settle_key } = await registerApp({ slug: APP, name: 'Film', starter_credits: 100, settle_key: 'rotate' })
  mkdirSync(folder, { recursive: true })
  writeFileSync(
    `${file}.new`,
    JSON.stringify({ settle_key, wanted: titles.map((title) => ({ id: randomUUID(), title })) }),
  )
  renameSync(`${file}.new`, file)
}
const { settle_key: appKey, wanted } = JSON.parse(readFileSync(file, 'utf8')) as Setup

// When this process ends, its orders stay held, and the next process continues them. By default, the library releases the credits at SIGTERM.
const focus = createFocus({ url: FOCUS_URL, appKey, sigterm: false })
const queue = openQueue(join(folder, 'queue.sqlite'))

const taken = new Set(queue.orders().map(({ id }) => id))
const missing = wanted.filter(({ id }) => !taken.has(id))
if (missing.length > 0) {
  const { token } = await (await signIn('ada@example.com'))()
  for (const order of missing) {
    await takeOrder(focus, queue, { ...order, token })
    console.log(`${order.title}: ordered`)
  }
}

await work(focus, queue, console.log)
