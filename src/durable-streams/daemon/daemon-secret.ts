/**
 * How a server proves that it is the one of a data directory: it knows the secret of its start, which lies in that directory
 * and is readable by its user alone. `/health` answers a challenge with a sum over that secret, the port and the answer, so
 * a stranger that repeats an answer of `/health`, or passes the question on, is not believed (promise 9).
 */
import { Context } from "effect"
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto"

/** The secret of this server's start; without one, a secret that no command knows. */
export const DaemonSecret = Context.Reference<string>("durable-streams/daemon-secret/DaemonSecret", {
  defaultValue: () => makeSecret()
})

/** 256 random bits, in hexadecimal digits. */
export const makeSecret = (): string => randomBytes(32).toString("hex")

/** 128 random bits, in hexadecimal digits: the question to which a server answers with its proof. */
export const makeChallenge = (): string => randomBytes(16).toString("hex")

/** The proof of the server at `port`, for `challenge` and the answer's `body`. */
export const proofOf = (secret: string, port: number, challenge: string, body: string): string =>
  createHmac("sha256", secret).update(`${challenge}\n${port}\n${body}`).digest("hex")

/** Whether the two are the same; takes the same time wherever they differ. */
export const isSame = (one: string, other: string): boolean => timingSafeEqual(digest(one), digest(other))

const digest = (text: string) => createHash("sha256").update(text).digest()
