import { once } from 'node:events'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { generate } from 'selfsigned'
import t, { type Test } from 'tap'
import { isPublic, resolvePublic } from '../../src/http/public-addresses.ts'
import { deliver } from '../../src/webhooks/delivery.ts'
import { startNameServer } from '../support/name-server.ts'
import { receiver, status } from '../support/receiver.ts'

const secrets = ['whsec_c2VjcmV0']
const post = (url: string, publicOnly = false) => deliver({ url, secrets, id: 'x', payload: '{}' }, publicOnly)

/** A server that speaks no HTTP of its own: the test writes to the socket. */
async function rawServer(t: Test, talk: (socket: Socket) => void) {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    talk(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

t.test('the status and the beginning of the body of an answer are recorded', async (t) => {
  const { url } = await receiver(t, (response) => response.writeHead(202).end('thank you'))
  t.match(await post(url), { error: null, status: 202, answer: 'thank you', retry_after: 0 })
  const failing = await receiver(t, (response) => response.writeHead(500).end(`a\0b${'ä'.repeat(300)}`))
  t.match(await post(failing.url), { error: 'Answered 500.', status: 500, answer: `ab${'ä'.repeat(198)}` })
  const silent = await receiver(t)
  t.match(await post(silent.url), { error: null, status: 204, answer: '' })
})

t.test('redirects are not followed', async (t) => {
  const target = await receiver(t)
  for (const code of [301, 302, 303, 307, 308]) {
    const { received, url } = await receiver(t, (response) => response.writeHead(code, { location: target.url }).end())
    t.match(await post(url), { error: `Answered ${code}, a redirect.`, status: code })
    t.equal(received.length, 1)
  }
  t.equal(target.received.length, 0)
})

t.test('Retry-After is read from 429 and 503, as seconds or a date, up to six hours', async (t) => {
  const answer = async (code: number, after: string) => {
    const { url } = await receiver(t, (response) => response.writeHead(code, { 'retry-after': after }).end())
    return (await post(url)).retry_after
  }
  t.equal(await answer(429, '120'), 120)
  t.equal(await answer(503, '7'), 7)
  const date = await answer(503, new Date(Date.now() + 90_000).toUTCString())
  t.ok(date > 80 && date <= 91, `${date} s`)
  t.equal(await answer(503, '99999999999'), 21_600)
  t.equal(await answer(503, new Date(0).toUTCString()), 0)
  t.equal(await answer(503, 'soon'), 0)
  t.equal(await answer(500, '120'), 0)
})

t.test('a receiver that does not answer in time is given up', async (t) => {
  await startNameServer(t, () => null)
  const silent = await rawServer(t, () => {})
  const dripping = await rawServer(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nx-slow: ')
    const timer = setInterval(() => socket.write('x'), 200)
    socket.on('close', () => clearInterval(timer))
  })
  for (const attempt of await Promise.all([
    post(silent),
    post(dripping),
    post(silent.replace('http:', 'https:')),
    post('https://no-answer.example/', true),
  ])) {
    t.match(attempt, { error: 'No answer within 15 s.', status: null, answer: null })
    t.ok(attempt.ms >= 14_900 && attempt.ms < 20_000, `${attempt.ms} ms`)
  }
})

t.test('a body that is slow or endless costs a second or a kilobyte', async (t) => {
  const slow = await rawServer(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n')
    const timer = setInterval(() => socket.write('x'), 50)
    socket.on('close', () => clearInterval(timer))
  })
  const attempt = await post(slow)
  t.match(attempt, { error: null, status: 200, answer: /^x+$/ })
  t.ok(attempt.ms < 5_000, `${attempt.ms} ms`)

  let [sent, cut] = [0, Promise.withResolvers<void>()]
  const endless = await rawServer(t, (socket) => {
    socket.write('HTTP/1.1 500 Sorry\r\n\r\n')
    const more = () => {
      while (!socket.destroyed && socket.write('y'.repeat(10_000))) sent += 10_000
    }
    socket.on('drain', more)
    socket.on('close', () => cut.resolve())
    more()
  })
  const long = await post(endless)
  await cut.promise
  t.match(long, { error: 'Answered 500.', answer: 'y'.repeat(200) })
  t.ok(long.ms < 1_000, `${long.ms} ms`)
  t.ok(sent < 20_000_000, `${sent} bytes were sent before the connection was cut`)
})

t.test('an answer that is not HTTP or incomplete is a failure', async (t) => {
  const nonsense = await rawServer(t, (socket) => socket.end('SSH-2.0-OpenSSH_9.9\r\n'))
  t.match(await post(nonsense), { error: /^Parse Error/, status: null })
  const broken = await rawServer(t, (socket) => socket.destroy())
  t.match(await post(broken), { error: /socket hang up|ECONNRESET/, status: null })
  const headers = await rawServer(t, (socket) => socket.end(`HTTP/1.1 200 OK\r\nx: ${'x'.repeat(100_000)}\r\n\r\n`))
  t.match(await post(headers), { error: /Header overflow/, status: null })
  const half = await rawServer(t, (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf'))
  t.match(await post(half), { error: null, status: 200, answer: 'half' })
  t.match(await post('http://127.0.0.1:9/'), { error: /ECONNREFUSED/, status: null })
  t.match(await post('http://localhost:9/'), { error: /ECONNREFUSED/, status: null })
})

t.test('a certificate that is not trusted, of another name or expired is a failure', async (t) => {
  const serve = async (names: string[], days: { from: number; to: number }) => {
    const day = 86_400_000
    const { private: key, cert } = await generate([{ name: 'commonName', value: names[0] ?? '' }], {
      notBeforeDate: new Date(Date.now() + days.from * day),
      notAfterDate: new Date(Date.now() + days.to * day),
      extensions: [
        { name: 'basicConstraints', cA: true },
        { name: 'subjectAltName', altNames: names.map((value) => ({ type: 2 as const, value })) },
      ],
    })
    const server = createTlsServer({ key, cert }, (_request, response) => response.writeHead(204).end()).listen(0)
    server.on('tlsClientError', () => {})
    await once(server, 'listening')
    t.teardown(() => server.close())
    return { cert, url: `https://localhost:${(server.address() as AddressInfo).port}/` }
  }
  const good = await serve(['localhost'], { from: -1, to: 1 })
  const other = await serve(['elsewhere.example'], { from: -1, to: 1 })
  const expired = await serve(['localhost'], { from: -2, to: -1 })
  t.match(await post(good.url), { error: /self-signed certificate/, status: null })

  const before = getCACertificates('default')
  t.teardown(() => setDefaultCACertificates(before))
  setDefaultCACertificates([...before, good.cert, other.cert, expired.cert])
  t.match(await post(good.url), { error: null, status: 204 })
  t.match(await post(other.url), { error: /does not match certificate's altnames/, status: null })
  t.match(await post(expired.url), { error: /certificate has expired/, status: null })
  const { url } = await receiver(t)
  t.match(await post(url.replace('http:', 'https:')), { error: /SSL|EPROTO/, status: null })
})

t.test('a name that is not known is a failure', async (t) => {
  t.match(await post('http://no-such-host.invalid/'), { error: /ENOTFOUND|EAI_AGAIN/, status: null })
  await startNameServer(t, () => undefined)
  t.match(await post('https://no-such-host.example/', true), { error: /ENOTFOUND/, status: null })
})

t.test('in production only https to public addresses is connected to', async (t) => {
  const { received, url } = await receiver(
    t,
    status(() => 204),
  )
  const { port } = new URL(url)
  t.match(await post(url, true), { error: 'The URL is not https.' })
  for (const host of [
    '127.0.0.1',
    '[::1]',
    '10.0.0.1',
    '169.254.169.254',
    '168.63.129.16',
    '[::ffff:127.0.0.1]',
    '[::127.0.0.1]',
    '0.0.0.0',
    '2130706433',
    '0x7f.1',
    'localhost',
    'app.localhost',
  ]) {
    const attempt = await post(`https://${host}:${port}/`, true)
    t.match(attempt, { error: /^The address .* is not a public one\.$/, status: null }, host)
  }
  // The connection's own look-up is checked, so a name cannot change between a check and the connection.
  const names: Record<string, { A?: string[]; AAAA?: string[] }> = {
    'internal.example': { A: ['127.0.0.1'] },
    'mixed.example': { A: ['93.184.215.14', '10.0.0.1'] },
    'internal6.example': { A: ['93.184.215.14'], AAAA: ['::1'] },
    'mapped.example': { AAAA: ['::ffff:127.0.0.1'] },
    'unique-local.example': { AAAA: ['fd00::1'] },
  }
  await startNameServer(t, (name, type) => names[name]?.[type] ?? [])
  for (const name of Object.keys(names)) {
    const attempt = await post(`https://${name}:${port}/`, true)
    t.match(attempt, { error: /^The address .* is not a public one\.$/, status: null }, name)
  }
  t.equal(received.length, 0)
})

t.test('a name server that does not answer delays neither other names nor IPv4', async (t) => {
  await startNameServer(t, (name, type) => {
    if (name.startsWith('silent')) return null
    if (name === 'four.example') return type === 'A' ? ['93.184.215.14'] : null
    return type === 'A' ? ['93.184.215.14'] : ['2606:4700::1111']
  })
  const hanging = Array.from({ length: 8 }, (_, i) => resolvePublic(`silent-${i}.example`).catch(() => {}))
  const began = performance.now()
  t.strictSame(await resolvePublic('both.example'), [
    { address: '93.184.215.14', family: 4 },
    { address: '2606:4700::1111', family: 6 },
  ])
  t.strictSame(await resolvePublic('four.example'), [{ address: '93.184.215.14', family: 4 }])
  const took = performance.now() - began
  t.ok(took < 3_000, `${took} ms`)
  t.equal(await Promise.race([Promise.all(hanging), 'still waiting']), 'still waiting')
})

t.test('only addresses that the internet routes are public', async (t) => {
  for (const address of ['93.184.215.14', '8.8.8.8', '2606:4700::1111', '2a00:1450::1'])
    t.ok(isPublic(address), address)
  const special = ['127.0.0.1', '10.1.2.3', '172.16.0.1', '192.168.1.1', '169.254.1.1', '100.64.0.1', '0.0.0.0']
  special.push('224.0.0.1', '255.255.255.255', '192.0.2.1', '198.18.0.1', '168.63.129.16', '192.0.0.192')
  special.push('::', '::1', 'fe80::1', 'fc00::1', 'fec0::1', 'ff02::1', '::ffff:10.0.0.1', '::ffff:168.63.129.16')
  special.push('::10.0.0.1', '::8.8.8.8', '64:ff9b::7f00:1', '64:ff9b:1::1', '2002:7f00:1::', '2001:db8::1', '2001::1')
  special.push('4000::1', '3fff::1', 'fe80::1%eth0', 'nonsense', '')
  for (const address of special) t.notOk(isPublic(address), address)
})
