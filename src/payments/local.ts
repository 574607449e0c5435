import type { Bought, Hint, Provider } from './types.ts'

/** A provider without money, to try out the whole loop: a page of the service replaces the payment page. */

/** How long a purchase can be paid; the same as at Stripe. */
const OPEN_MS = 86_400_000

/** The payment that the button of the local payment page makes. @param id the purchase */
export const localPayment = (id: string): Hint => ({ payment_id: `local_${id}` })

export function localProvider(publicUrl: string): Provider {
  return {
    kind: 'local',
    checkoutOrigin: undefined,
    createCustomer: async () => null,
    checkout: async ({ id }) => ({ checkout_id: null, url: `${publicUrl}/buy/local/${id}` }),
    async look({ id, price, status, payment_id, created_at }: Bought, hint: Hint) {
      const paid_by = hint.payment_id ?? payment_id
      const expired = created_at.getTime() + OPEN_MS < Date.now()
      if (!paid_by && (status !== 'open' || !expired)) return undefined
      return {
        ...{ failure_reason: null, checkout_id: null, receipt_url: null, disputed: false, reversals: [] },
        ...(paid_by
          ? { status: 'paid', payment_id: paid_by, reference: `local:${id}`, amount: price }
          : { status: 'expired', payment_id: null, reference: null, amount: null }),
      }
    },
    cardPage: async () => null,
    card: async () => ({ id: 'local', name: 'No card, for trying out' }),
    charge: async ({ id }) => localPayment(id),
    findCharge: async () => undefined,
    giveUp: async () => {},
  }
}
