/**
 * Tokens: claims and an HMAC over them, by which a worker proves that it was given a wake. The holder of a token can move
 * the cursors of that one wake, so tokens are neither stored nor logged.
 */
import { Option, Schema } from "effect"
import { createHmac, type KeyObject, timingSafeEqual } from "node:crypto"

export interface TokenClaims {
  /** The subscription, and no other one of its id. */
  readonly subject: string
  readonly generation: number
  /** Milliseconds since 1970. */
  readonly expires: number
}

export const mintToken = (secret: KeyObject, claims: TokenClaims): string => {
  const text = Buffer.from(JSON.stringify([claims.subject, claims.generation, claims.expires])).toString("base64url")
  return `${text}.${hmac(secret, text).toString("base64url")}`
}

/** The claims of a token that this server made; undefined for any other text. */
export const readToken = (secret: KeyObject, token: string): TokenClaims | undefined => {
  const dot = token.indexOf(".")
  if (dot < 0 || token.length > tokenLengthMax) return undefined
  const text = token.slice(0, dot)
  const signature = token.slice(dot + 1)
  const given = Buffer.from(signature, "base64url")
  // Node reads base64url leniently: of all spellings of a token, only one counts.
  if (given.toString("base64url") !== signature) return undefined
  const wanted = hmac(secret, text)
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return undefined
  const claims = decode(Buffer.from(text, "base64url").toString())
  if (Option.isNone(claims)) return undefined
  const [subject, generation, expires] = claims.value
  return { subject, generation, expires }
}

/** Longer than a token with the longest subject. */
const tokenLengthMax = 4_096

const decode = Schema.decodeOption(Schema.fromJsonString(Schema.Tuple([Schema.String, Schema.Int, Schema.Int])))

const hmac = (secret: KeyObject, text: string): Buffer => createHmac("sha256", secret).update(text).digest()
