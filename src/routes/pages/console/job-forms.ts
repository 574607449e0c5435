import { amountText } from '../words.ts'
import { type Form, numberField, REQUIRED } from './forms.ts'

/** What a job is changed by. @param at the page of the job */

interface Named {
  at: string
  /** What the job is called */
  what: string
}

/** @param left what the job cost and was not given back yet */
export const refundForm = ({ at, what }: Named, left: number): Form => ({
  ...{ id: 'refund', title: `Refund “${what}”`, action: `${at}/refund`, back: at },
  fields: [
    numberField('amount', 'Credits', {
      value: String(left),
      hint: `At most ${amountText(left)}: what it cost and was not given back yet.`,
      attributes: REQUIRED,
    }),
  ],
})

/** @param hold what it holds, in words */
export const endForm = ({ at, what }: Named, hold: string): Form => ({
  ...{ id: 'end', title: `End “${what}”`, action: `${at}/end`, back: at },
  fields: [
    {
      ...{ name: 'hold', label: `What becomes of the ${hold} that it holds`, kind: 'one', value: 'return' },
      choices: [
        { value: 'return', text: 'They go back to the person' },
        { value: 'keep', text: 'The job costs them' },
      ],
    },
  ],
})
