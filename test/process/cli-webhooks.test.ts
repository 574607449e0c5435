import { sql } from 'kysely'
import t from 'tap'
import { startBackground } from '../../src/background/index.ts'
import { machine, serve, signedIn } from '../support/cli.ts'
import { receiver, status } from '../support/receiver.ts'
import { unique } from '../support/start.ts'

const service = await serve(t)
t.teardown(startBackground(service.app))

t.test('an administrator manages webhook endpoints from the command line', async (t) => {
  const { done, focus, json, person: admin } = await signedIn(t, service, 'account admin')
  let code = 204
  const { received, url } = await receiver(
    t,
    status(() => code),
  )
  const slug = unique('hooked')
  const hooks = (...words: string[]) => ['admin', 'webhooks', ...words]
  await admin.put(`/api/admin/apps/${slug}`, { starter_credits: 0 })

  t.match((await focus(hooks('list', slug))).stderr, `${slug} has no webhook endpoints.`)
  const create = hooks('create', slug, '--url', url, '--event', 'job.completed', 'job.failed')
  const made = await json(...create)
  const { id } = made.endpoint
  t.match(made, { endpoint: { url, events: ['job.completed', 'job.failed'] }, secret: /^whsec_/ })
  t.match(await done(...hooks('list', slug)), new RegExp(`^${id} +ok +${url} +job.completed job.failed$`, 'm'))
  t.match(await done(...hooks('show', id)), new RegExp(`^URL +${url}$`, 'm'))
  t.notMatch(await done(...hooks('show', id)), made.secret)

  t.match(await json(...hooks('change', id, '--event', 'job.completed')), { endpoint: { events: ['job.completed'] } })
  const nothing = await focus(hooks('change', id))
  t.match(nothing, { code: 2, stderr: /Nothing to change/ })
  t.match(await done(...hooks('pause', id)), /^State +paused$/m)
  t.match(await done(...hooks('resume', id)), /^State +ok$/m)
  t.match(await done(...hooks('rotate', id)), /^whsec_[A-Za-z0-9+/]{43}=\n$/)
  t.match(await done(...hooks('show', id)), /^Old secret until +\d{4}-/m)

  t.match(await done(...hooks('test', id)), /^Status +204$/m)
  t.equal(received.length, 1)
  code = 500
  const failed = await focus(hooks('test', id))
  t.match(failed, { code: 1, stdout: /^Status +500$/m, stderr: /^Error: Answered 500\.$/m })
  t.match(await json(...hooks('deliveries', id)), { deliveries: [{ status: 500 }, { status: 204 }], next_cursor: null })
  const page = await focus(hooks('deliveries', id, '--limit', '1'))
  t.match(page.stdout, /^.* test +1 +500 +\d+ +Answered 500\. +[0-9a-f-]{36}$/m)
  t.match(page.stderr, new RegExp(`admin webhooks deliveries ${id} --limit 1 --cursor [0-9a-f-]{36}`))

  await sql`insert into webhook_messages (account_id, endpoint_id, event, payload, status, attempts)
    select ${admin.id}, ${id}, 'job.failed', '{}', 'dead', 18 from generate_series(1, 3)`.execute(service.db)
  t.match(await done(...hooks('dead', id)), /^[0-9a-f-]{36} +job\.failed +.+ 18$/m)
  const [first, second] = (await json(...hooks('dead', id))).messages
  await done(...hooks('pause', id))
  t.equal(await done(...hooks('dismiss', id, '--message', first.id)), '1 message deleted.\n')
  t.equal(await done(...hooks('replay', id, '--message', second.id)), '1 message will be sent again.\n')
  t.strictSame(await json(...hooks('dismiss', id)), { dismissed: 1, more: false })
  t.match((await focus(hooks('dead', id))).stderr, /No dead messages/)
  t.match(await done(...hooks('remove', id)), /^Removed/)
  t.match(await focus(hooks('show', id)), { code: 1, stderr: /No webhook endpoint has this id/ })
})

t.test('who may not is told so', async (t) => {
  const { focus } = await signedIn(t, service)
  const { code, stderr } = await focus(['admin', 'webhooks', 'list', 'video'])
  t.equal(code, 1)
  t.match(stderr, /Log in with this scope|administrator/)
  const outside = await machine(t)
  t.match(await outside.focus(['admin', 'webhooks', 'show', '..']), { code: 2, stderr: /must be an id/ })
})
