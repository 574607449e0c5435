import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'
import { endFile } from './start.ts'

/**
 * Runs the test files of a folder in one process, one after the other: a process of its own costs each file two seconds
 * for loading the service. A file still has a database and services of its own, and runs alone as well.
 */
export function runFolder(folder: string): void {
  const area = basename(folder)
  const files = readdirSync(folder).filter((name) => name.endsWith('.test.ts'))

  // Each file is loaded inside a test. tap ends the run as soon as no test is running or queued, and would drop the tests of
  // a file that is still being loaded then.
  async function load([file, ...rest]: string[]): Promise<void> {
    if (!file) {
      complete = true
      return
    }
    await import(join(folder, file))
    // Tests run in the order in which they are declared: when this one runs, those of the file have ended.
    t.test(`${area}/${file} leaves the ledger intact`, { buffered: false }, async () => {
      await endFile()
      t.jobs = 1
      await load(rest)
    })
  }

  let complete = false
  process.once('exit', () => {
    if (!complete) process.exitCode = 1
  })
  t.test(`${area}: ${files.length} files`, () => load(files))
}
