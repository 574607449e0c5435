/**
 * Amounts of money as Stripe represents them: integers in the currency's minor unit. The number of digits follows Stripe's list, which
 * differs from ISO 4217: Icelandic krónur and Ugandan shillings are counted in hundredths, but only whole ones can be charged.
 */
const NO_DIGITS = 'bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf'.split(' ')
const THREE_DIGITS = 'bhd jod kwd omr tnd'.split(' ')
const WHOLE_ONLY = ['isk', 'ugx']

const digitsOf = (currency: string): number =>
  NO_DIGITS.includes(currency) ? 0 : THREE_DIGITS.includes(currency) ? 3 : 2

/** An amount for people, such as `$5.00` or `¥500`. @param amount in minor units @param currency ISO 4217 code in lower case */
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

/** Why Stripe refuses to charge an amount, as the end of a message about a field; undefined: it charges it. */
export function amountFault(amount: number, currency: string): string | undefined {
  if (WHOLE_ONLY.includes(currency) && amount % 100 !== 0) return `must be a multiple of 100 in ${currency}`
  if (THREE_DIGITS.includes(currency) && amount % 10 !== 0) return `must be a multiple of 10 in ${currency}`
  return undefined
}
