/**
 * Amounts of money as Stripe has them: integers of the currency's minor unit. How many digits that has is Stripe's list and not ISO
 * 4217's: it takes no part of a krona or a shilling, and still counts them in hundredths.
 */
const NO_DIGITS = 'bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf'.split(' ')
const THREE_DIGITS = 'bhd jod kwd omr tnd'.split(' ')
const WHOLE_ONLY = ['isk', 'ugx']

const digitsOf = (currency: string): number =>
  NO_DIGITS.includes(currency) ? 0 : THREE_DIGITS.includes(currency) ? 3 : 2

/** `$5.00`, `¥500` */
export function moneyText(amount: number, currency: string): string {
  const digits = digitsOf(currency)
  const shown = WHOLE_ONLY.includes(currency) ? 0 : digits
  return new Intl.NumberFormat('en-US', {
    style: 'currency',
    currency: currency.toUpperCase(),
    minimumFractionDigits: shown,
    maximumFractionDigits: shown,
  }).format(amount / 10 ** digits)
}

/** Why Stripe would not charge an amount; undefined: it would. */
export function amountFault(amount: number, currency: string): string | undefined {
  if (WHOLE_ONLY.includes(currency) && amount % 100 !== 0) return `must be a multiple of 100 in ${currency}`
  if (THREE_DIGITS.includes(currency) && amount % 10 !== 0) return `must be a multiple of 10 in ${currency}`
  return undefined
}
