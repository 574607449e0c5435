import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { deflateRawSync, inflateRawSync } from 'node:zlib'

/** Encrypts what a browser keeps for us, so that it can be neither read nor changed there. */
export interface SealedBox {
  /** @returns base64url text */
  seal(value: object): string
  /** undefined: it was not sealed by us, or for another purpose */
  open(sealed: string): unknown
}

const CIPHER = 'aes-256-gcm'
const NONCE = 12
const TAG = 16
/** The most bytes that a box is unpacked to. */
const MOST_BYTES = 2 ** 21

/** @param tokenSecret the same on every replica */
export function sealedBox(tokenSecret: string, purpose: string): SealedBox {
  const key = new Uint8Array(hkdfSync('sha256', tokenSecret, '', `sealed box: ${purpose}`, 32))
  return {
    seal(value) {
      const nonce = randomBytes(NONCE)
      const cipher = createCipheriv(CIPHER, key, nonce)
      const text = Buffer.concat([cipher.update(deflateRawSync(JSON.stringify(value))), cipher.final()])
      return Buffer.concat([nonce, cipher.getAuthTag(), text]).toString('base64url')
    },
    open(sealed) {
      const bytes = Buffer.from(sealed, 'base64url')
      if (bytes.length <= NONCE + TAG) return undefined
      const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE), { authTagLength: TAG })
      decipher.setAuthTag(bytes.subarray(NONCE, NONCE + TAG))
      try {
        const packed = Buffer.concat([decipher.update(bytes.subarray(NONCE + TAG)), decipher.final()])
        return JSON.parse(inflateRawSync(packed, { maxOutputLength: MOST_BYTES }).toString())
      } catch {
        return undefined
      }
    },
  }
}
