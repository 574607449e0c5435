import { type Form, NAMED, numberField, REQUIRED } from './forms.ts'

interface Pack {
  slug: string
  name: string
  credits: number
  price: number
  currency: string
  stripe_price_id: string | null
}

/** What packs are sold and changed by. @param pack to be changed; undefined: a new one */
export const packForm = (pack: Pack | undefined): Form => ({
  ...{ id: 'pack', title: pack ? `Change ${pack.name}` : 'Sell a pack', back: '/console/packs' },
  action: '/console/packs',
  fields: [
    {
      ...{ name: 'slug', label: 'Slug', value: pack?.slug ?? '' },
      hint: 'Lower-case letters, digits, dashes. It cannot be changed.',
      attributes: {
        ...{ ...REQUIRED, maxlength: '63', pattern: '[a-z0-9][a-z0-9\\-]*', autocomplete: 'off' },
        ...(pack && { readonly: '' }),
      },
    },
    {
      ...{ name: 'name', label: 'Name', value: pack?.name ?? '' },
      attributes: { ...REQUIRED, ...NAMED, placeholder: '500 credits' },
    },
    numberField('credits', 'Credits', { value: String(pack?.credits ?? ''), attributes: REQUIRED }),
    numberField('price', 'Price', {
      value: String(pack?.price ?? ''),
      hint: 'In the smallest unit: 500 is $5.00, and ¥500.',
      attributes: REQUIRED,
    }),
    {
      ...{ name: 'currency', label: 'Currency', value: pack?.currency ?? 'usd', hint: 'Three letters, such as usd.' },
      attributes: { ...REQUIRED, pattern: '[A-Za-z]{3}' },
    },
    {
      ...{ name: 'stripe_price_id', label: 'Price id at Stripe (optional)', value: pack?.stripe_price_id ?? '' },
      hint: 'With it, Stripe shows its own product. Its price and currency must be the same.',
      attributes: { maxlength: '255' },
    },
  ],
})
