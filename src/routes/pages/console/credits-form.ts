import { type Form, numberField, REQUIRED } from './forms.ts'

/** What is done with credits, by the kind of the entry; what is taken is an adjustment. */
export const GIVEN = [
  { value: 'admin_grant', text: 'Give them without payment' },
  { value: 'topup', text: 'Give what was paid outside of this service' },
  { value: 'adjustment', text: 'Give them to put something right' },
  { value: 'take', text: 'Take them' },
] as const

export const creditsForm = (id: string, who: string): Form => ({
  ...{ id: 'credits', title: `Give credits to ${who}, or take some`, back: `/console/accounts/${id}` },
  action: `/console/accounts/${id}/credits`,
  fields: [
    { name: 'what', label: 'What', kind: 'one', choices: GIVEN, value: 'admin_grant' },
    numberField('amount', 'Credits', { attributes: REQUIRED }),
    {
      ...{ name: 'reference', label: 'Payment reference' },
      hint: 'Optional, for what was paid outside: such as the number of the bank transfer. Entered twice, it is refused; the search finds it.',
      attributes: { maxlength: '255', autocomplete: 'off' },
    },
    { name: 'allow_negative', label: 'Take them even below zero', kind: 'box' },
  ],
})
