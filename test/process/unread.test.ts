import { execFileSync } from 'node:child_process'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { query } from '../support/database.ts'
import { launch, ready, signIn } from '../support/process.ts'
import { databaseUrl } from '../support/start.ts'
import { until } from '../support/until.ts'

// A minute for each attack, and a start of the service.
t.setTimeout(300_000)

const SOCKETS = 50
const PIPELINED = 12

/** Ten people look at their wallets for a while. @returns how long the slowest percent took, in ms, and the statuses */
async function others(url: string, people: { cookie: string }[], ms: number) {
  const times: number[] = []
  const statuses = new Set<number>()
  const end = performance.now() + ms
  await Promise.all(
    people.map(async ({ cookie }) => {
      while (performance.now() < end) {
        const began = performance.now()
        const answer = await fetch(`${url}/api/wallet`, { headers: { cookie }, signal: AbortSignal.timeout(10_000) })
        await answer.arrayBuffer()
        times.push(performance.now() - began)
        statuses.add(answer.status)
        await sleep(100)
      }
    }),
  )
  times.sort((one, other) => one - other)
  return { p99: times[Math.floor((times.length - 1) * 0.99)] ?? 0, statuses: [...statuses] }
}

for (const path of ['/api/jobs?limit=200', '/api/openapi.json']) {
  t.test(`fifty connections that never read ${path} cost neither the process nor the others much`, async (t) => {
    const service = await launch(t, { DATABASE_URL: await databaseUrl(), LOG_LEVEL: 'warn' }, [
      '--max-old-space-size=256',
    ])
    const { url, port, pid } = service
    await ready(url)
    const megabytes = () => Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)])) / 1024
    const eve = await signIn(url, `eve-${port}@example.com`)
    const job = { method: 'POST', body: '{"app":"notes","action":"a","cost_estimate":0}' }
    const headers = { authorization: eve.authorization, 'content-type': 'application/json' }
    for (let n = 0; n < 200; n++) await (await fetch(`${url}/api/jobs`, { ...job, headers })).arrayBuffer()
    await query(await databaseUrl(), `update jobs set metadata = jsonb_build_object('t', repeat('x', 16000))`)
    const people: { cookie: string }[] = []
    for (let n = 0; n < 10; n++) people.push(await signIn(url, `other-${port}-${n}@example.com`))
    await others(url, people, 2_000)
    const before = { ...(await others(url, people, 5_000)), mb: megabytes() }

    let most = before.mb
    const watch = setInterval(() => {
      most = Math.max(most, megabytes())
    }, 250)
    t.teardown(() => clearInterval(watch))
    const request = `GET ${path} HTTP/1.1\r\nhost: localhost\r\ncookie: ${eve.cookie}\r\n\r\n`
    const sockets = Array.from({ length: SOCKETS }, (): Socket => {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      socket.pause()
      socket.write(request.repeat(PIPELINED))
      return socket
    })
    t.teardown(() => {
      for (const socket of sockets) socket.destroy()
    })
    const during = await others(url, people, 10_000)
    t.strictSame(during.statuses, [200])
    const figures = `p99 ${Math.round(before.p99)} → ${Math.round(during.p99)} ms, ${Math.round(before.mb)} → ${Math.round(most)} MB`
    t.comment(figures)
    // On a machine that is busy otherwise, a few ms before are no measure.
    t.ok(during.p99 <= Math.max(5 * before.p99, 1_000), figures)
    // Their answers would be 600 MB, of which 64 may wait.
    t.ok(most < before.mb + 160, figures)
    // Half a minute later nobody waits for these readers: what the kernel holds for them is all that they still get.
    await sleep(25_000)
    for (const socket of sockets) socket.resume()
    if (path === '/api/jobs?limit=200') {
      // Sixteen large answers may be under way for one account; the connections beyond got refusals and stay open.
      await until(() => sockets.some(({ bytesRead, closed }) => bytesRead > 100_000 && closed))
    }
    t.equal((await others(url, people, 1_000)).statuses.join(), '200')
    service.kill('SIGTERM')
    t.equal((await service.closed).code, 0)
  })
}
