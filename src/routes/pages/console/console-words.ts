import { amountText, creditsText } from '../words.ts'

/** `1 person has`, `1,204 people have`, `at least 100,000 people have` */
export const peopleText = (count: number, most = 100_000): string =>
  count === 1 ? '1 person has' : `${count >= most ? 'at least ' : ''}${amountText(count)} people have`

/** `1 message`, `5 messages` */
export const countText = (count: number, one: string, many = `${one}s`): string =>
  `${amountText(count)} ${count === 1 ? one : many}`

/** `a and b`, `a, b and c` */
export const listText = (parts: string[]): string =>
  parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`

/** How far a job's cost may pass its estimate, as an app has it. */
export const overageText = (credits: number | null, percent: number | null): string =>
  credits !== null ? creditsText(credits) : percent !== null ? `${amountText(percent)} %` : 'without limit'

/** Of a secret that the next page shows. */
export const ONCE = (what: string): string =>
  `The ${what} is shown once, on the next page, and a reload does not show it again. Have a place ready to keep it.`
