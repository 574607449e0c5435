const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** A whole number in base 62, least significant digit first, exactly `length` digits: what does not fit is dropped. */
export function base62(value: bigint, length: number): string {
  let digits = ''
  for (let rest = value; digits.length < length; rest /= 62n) digits += DIGITS[Number(rest % 62n)]
  return digits
}
