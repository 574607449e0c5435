import type { FastifyServerOptions } from 'fastify'
import pino, { type Logger } from 'pino'
import pretty from 'pino-pretty'
import type { Config } from '../config.ts'

/** JSON lines for machines; for a person at a terminal, readable ones. URLs lose their query: it may carry a token. */
export function loggerOf({ logLevel, production }: Config) {
  return {
    level: logLevel,
    serializers: {
      req: ({ method, url, ip }: { method: string; url: string; ip: string }) => ({
        method,
        path: url.split('?', 1)[0],
        ip,
      }),
    },
    ...(isReadable(production) && { stream: pretty({ sync: true, ignore: 'pid,hostname' }) }),
  } satisfies FastifyServerOptions['logger']
}

const isReadable = (production: boolean) => process.stdout.isTTY && !production

/** The log of the process, from its first line on. */
export function openLog(config: Config): Logger {
  const { stream, ...options } = { stream: undefined, ...loggerOf(config) }
  return stream ? pino(options, stream) : pino(options)
}

/**
 * How the service tells an operator what it is doing while it starts: in plain sentences at a terminal, else as lines of
 * the log.
 */
export function speaker({ production }: Config, log: Logger): (sentence: string) => void {
  return isReadable(production) ? (sentence) => console.error(sentence) : (sentence) => log.info(sentence)
}
