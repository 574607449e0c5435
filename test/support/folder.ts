import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'
import { endFile } from './start.ts'

/**
 * Runs the test files of a folder in one process, one after the other: a process of its own costs each file two seconds
 * for loading the service. A file still has a database and services of its own, and runs alone as well.
 */
export async function runFolder(folder: string): Promise<void> {
  const files = readdirSync(folder).filter((name) => name.endsWith('.test.ts'))
  for (const file of files) {
    await import(join(folder, file))
    // Tests run in the order in which they are declared: when this one runs, those of the file have ended.
    await t.test(`${basename(folder)}/${file} leaves the ledger intact`, { buffered: false }, endFile)
    t.jobs = 1
  }
}
