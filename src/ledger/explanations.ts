/** What it means that an invariant does not hold, and what to do about it, by the name of the check. docs/ledger.md has the same sentences. */
export interface Explanation {
  meaning: string
  remedy: string
}

/** What most of them come down to. */
const WRITTEN_PAST =
  'Find out who wrote past the constraints (actor, created_at, the log of the database) before anything else, and whether the service connects as the owner of the tables, which it should not.'
const TOTAL_EDITED =
  'Entries are the truth: set the total of the account to their sum, in a transaction, after select … for update of the account.'
const JOB_EDITED = 'The job was edited: set it to what its entries say, after select … for update of the account.'
const COMPARE_PAYMENT =
  'Compare the purchase with the payment at the provider; put right what the person got too much or too little by an adjustment.'

export const EXPLANATIONS = {
  'credits equal the sum of the entries': {
    meaning: 'The account shows and spends another balance than its history adds up to.',
    remedy: TOTAL_EDITED,
  },
  'every balance follows from the one before, without gaps': {
    meaning:
      'An entry is missing or was put in between: its balance_after is not the one before plus its amount, or the seq of the account is not the last.',
    remedy: WRITTEN_PAST,
  },
  'held equals what the started jobs reserve': {
    meaning: 'The account shows other holds than its jobs in progress have; its spendable credits may still be right.',
    remedy:
      'Set held to what the jobs in progress of the account reserve, in a transaction, after select … for update of the account.',
  },
  "every job and every entry has its account, and a job's entry its job": {
    meaning:
      'Rows point to an account or a job that does not exist: something was deleted, or an account was moved or restored in part.',
    remedy: 'Restore the missing row from a backup. Nothing in the service deletes accounts, jobs or entries.',
  },
  'no job was reserved below zero': {
    meaning: 'A job was begun that the account could not pay.',
    remedy: WRITTEN_PAST,
  },
  'each grant has one equal starter entry, and the reverse': {
    meaning: 'Starter credits of an app were given twice, or are marked as given without an entry.',
    remedy: WRITTEN_PAST,
  },
  'over all accounts, credits and holds equal what was given less what jobs cost': {
    meaning:
      'Credits came from nowhere or are gone. Where another invariant names accounts, this is the same fault seen as a whole.',
    remedy:
      'Mend what the other invariants name. Where none is broken beside this one, the cost of an ended job was edited.',
  },
  'no entry is zero, and no reference stands twice in an account': {
    meaning: 'An adjustment or a payment was posted twice, or an entry moves nothing.',
    remedy: WRITTEN_PAST,
  },
  'a started job has taken what it reserves': {
    meaning:
      'A job in progress holds other credits than were taken from the account for it: its entries do not sum to −reserved.',
    remedy: JOB_EDITED,
  },
  'an ended job has taken what it cost': {
    meaning: 'An ended job says another cost than was charged for it: its entries do not sum to −actual_cost.',
    remedy: JOB_EDITED,
  },
  'a job has each kind of entry once, and never both refund and overage': {
    meaning: 'A job was settled twice.',
    remedy: WRITTEN_PAST,
  },
  'each paid purchase has one equal topup, and the reverse': {
    meaning:
      'Somebody has paid and got no credits or others than they bought, or got credits for a purchase that is not paid.',
    remedy: COMPARE_PAYMENT,
  },
  'a purchase has given back what its refunds took, and never more than it gave': {
    meaning: 'A refund or a dispute has taken other credits back than the purchase says.',
    remedy: COMPARE_PAYMENT,
  },
  "a job's refunds are the entries that name it, and never exceed its cost": {
    meaning:
      'A job says another sum of refunds than the entries with the reference refund:<job id> and refund:<job id>:<n> gave back.',
    remedy: JOB_EDITED,
  },
  'what a budget has spent in its period is what the jobs of that hold and cost': {
    meaning: 'A token or a grant may spend more or less than its budget says. Credits are not affected.',
    remedy:
      'Set spent to the sum of the jobs reserved since period_start, after select … for update of the account; the next period begins at 0 by itself.',
  },
} satisfies Record<string, Explanation>

/** The name of an invariant. */
export type Invariant = keyof typeof EXPLANATIONS
