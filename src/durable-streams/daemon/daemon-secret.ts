/**
 * How a server proves that it is the one of a data directory: it knows the secret of its start, which lies in that directory
 * and is readable by its user alone. `/health` answers a challenge with a sum over that secret, the port and the answer, so a
 * stranger who repeats what `/health` tells everybody, or passes the question on, is not believed (promise 9).
 */
import { Context } from "effect"
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto"

/** The secret of this server's start; one that nobody was told where none is given. */
export const DaemonSecret = Context.Reference<string>("durable-streams/daemon-secret/DaemonSecret", {
  defaultValue: () => makeSecret()
})

/** 256 random bits, in hexadecimal digits. */
export const makeSecret = (): string => randomBytes(32).toString("hex")

/** 128 random bits, in hexadecimal digits: what a server is asked to prove itself for. */
export const makeChallenge = (): string => randomBytes(16).toString("hex")

/** What the server at `port` answers to `challenge`, together with `body`. */
export const proofOf = (secret: string, port: number, challenge: string, body: string): string =>
  createHmac("sha256", secret).update(`${challenge}\n${port}\n${body}`).digest("hex")

/** Whether the two are the same, in a time that does not depend on where they differ. */
export const isSame = (one: string, other: string): boolean => timingSafeEqual(digest(one), digest(other))

const digest = (text: string) => createHash("sha256").update(text).digest()
