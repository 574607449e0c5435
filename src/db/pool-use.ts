/** What a pool of connections is doing now. */
export interface PoolUse {
  /** Connections that are lent out, and those that are not */
  inUse(): number
  idle(): number
  /** Requests that wait for a connection, and how many have got one so far */
  waiting(): number
  served(): number
}
