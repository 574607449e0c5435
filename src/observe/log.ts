import type { FastifyServerOptions } from 'fastify'
import pino, { type Logger } from 'pino'
import pretty from 'pino-pretty'
import type { Config } from '../config.ts'

/** Logger options: JSON lines, or human-readable lines on a terminal outside production. URLs are logged without their query, which may carry a token. */
export function loggerOf({ logLevel, production }: Config) {
  return {
    level: logLevel,
    serializers: {
      req: ({ method, url, address }: { method: string; url: string; address: string }) => ({
        method,
        path: url.split('?', 1)[0],
        ip: address,
      }),
    },
    ...(isReadable(production) && { stream: pretty({ sync: true, ignore: 'pid,hostname' }) }),
  } satisfies FastifyServerOptions['logger']
}

const isReadable = (production: boolean) => process.stdout.isTTY && !production

/** Opens the log of the process. */
export function openLog(config: Config): Logger {
  const { stream, ...options } = { stream: undefined, ...loggerOf(config) }
  return stream ? pino(options, stream) : pino(options)
}

/**
 * @returns a function that reports start-up progress: as plain lines on stderr on a terminal outside production, else as log lines
 */
export function speaker({ production }: Config, log: Logger): (sentence: string) => void {
  return isReadable(production) ? (sentence) => console.error(sentence) : (sentence) => log.info(sentence)
}
