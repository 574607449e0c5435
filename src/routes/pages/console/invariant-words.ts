/** What each check of the ledger means when it fails, and what to do, in the words of docs/ledger.md. By the names of ledger/verify.ts. */
export const INVARIANT_WORDS: Record<string, { means: string; todo: string }> = {
  'credits equal the sum of the entries': {
    means: 'An account shows another balance than its entries add up to.',
    todo: 'The entries are right. Close the account for the time being, then set its credits to their sum.',
  },
  'every balance follows from the one before, without gaps': {
    means: 'An entry is missing, or was written by hand with a wrong balance.',
    todo: 'Find out who wrote it (actor, time, the log of the database) before anything else. Never edit an entry.',
  },
  'held equals what the started jobs reserve': {
    means: 'An account shows another hold than its running jobs add up to.',
    todo: 'The jobs are right. Close the account for the time being, then set held to what its started jobs reserve.',
  },
  'every job and every entry has its account, and a job’s entry its job': {
    means: 'A row belongs to nothing: something was deleted by hand, or a backup was restored in part.',
    todo: 'Compare with the last backup. Find out who deleted it before anything else.',
  },
  'no job was reserved below zero': {
    means: 'A job was started with credits that were not there.',
    todo: 'An entry was written past the constraints. Find out by whom; put the amount right with an adjustment.',
  },
  'each grant has one equal starter entry, and the reverse': {
    means: 'Somebody had starter credits without a record of it, or a record without the credits.',
    todo: 'Put the amount right with an adjustment that names the incident.',
  },
  'over all accounts, credits and holds equal what was given less what jobs cost': {
    means: 'Credits came from nowhere or went nowhere.',
    todo: 'One of the other checks says where. If none does, a total was edited: compare accounts with their entries.',
  },
  'no entry is zero, and no reference stands twice in an account': {
    means: 'An entry was written past the constraints; a payment may have been posted twice.',
    todo: 'Take the second one back with an adjustment. Find out how it was written.',
  },
  'a started job has taken what it reserves': {
    means: 'A running job was edited: its entries say another amount.',
    todo: 'Its entries say what it took. Set what it reserves to that.',
  },
  'an ended job has taken what it cost': {
    means: 'A job that has ended was edited: its entries say another cost.',
    todo: 'Its entries say what it took. Set its cost to that.',
  },
  'a job has each kind of entry once, and never both refund and overage': {
    means: 'A job was settled twice past the constraints.',
    todo: 'Take the second settlement back with an adjustment. Find out how it was written.',
  },
  'each paid purchase has one equal topup, and the reverse': {
    means: 'Somebody paid without getting credits, or has credits without a payment.',
    todo: 'Compare the purchase with the payment at Stripe: its row was edited, or an entry.',
  },
  'a purchase has given back what its refunds took, and never more than it gave': {
    means: 'Refunds of a purchase and the credits that they took back differ.',
    todo: 'Compare the purchase with its refunds at Stripe: its row was edited, or an entry.',
  },
  'a job’s refunds are the entries that name it, and never exceed its cost': {
    means: 'A job shows another refund than the entries that name it.',
    todo: 'The entries are right. Set what the job says was refunded to their sum.',
  },
  'what a budget has spent in its period is what the jobs of that hold and cost': {
    means: 'A token or an app may spend more, or less, than its person allowed.',
    todo: 'The jobs are right. Set what the budget says was spent to what its jobs of the period hold and cost.',
  },
}

/** Names in the code have a straight apostrophe. */
export const wordsOf = (name: string) => INVARIANT_WORDS[name.replaceAll("'", '’')]
