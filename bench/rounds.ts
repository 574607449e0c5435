/** Medians of interleaved rounds. The machine's speed changes by the minute, so only values of the same round are compared. */

export const median = (values: number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return ((sorted[(sorted.length - 1) >> 1] ?? Number.NaN) + (sorted[sorted.length >> 1] ?? Number.NaN)) / 2
}

/**
 * Runs all measurements once per round, alternately in forward and in reverse order, so that none is always last. The first round warms up
 * plans, caches and the compiler, and is discarded.
 * @returns the results by name, one per round
 */
export async function interleaved<Result>(
  title: string,
  rounds: number,
  measures: Record<string, () => Promise<Result>>,
): Promise<Map<string, Result[]>> {
  const results = new Map(Object.keys(measures).map((name) => [name, [] as Result[]]))
  for (let round = 0; round <= rounds; round++) {
    const order = Object.entries(measures)
    for (const [name, measure] of round % 2 ? order : order.toReversed()) {
      const result = await measure()
      if (round > 0) results.get(name)?.push(result)
    }
    process.stderr.write(round ? ` ${round}` : `${title}: warm; round`)
  }
  process.stderr.write('\n')
  return results
}

/** The median over the rounds of a value computed from two measurements of the same round. */
export function compared<Result>(
  results: Map<string, Result[]>,
  one: string,
  other: string,
  value: (result: Result) => number,
): number {
  const [ones = [], others = []] = [results.get(one), results.get(other)]
  return median(ones.map((result, round) => value(result) / value(others[round] as Result)))
}

/** The median over the rounds of one value of a measurement. */
export const typical = <Result>(results: Map<string, Result[]>, name: string, value: (result: Result) => number) =>
  median((results.get(name) ?? []).map(value))
