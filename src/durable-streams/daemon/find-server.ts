/**
 * Finds the running server of a data directory. The files of the directory say where it is, and are believed only when the
 * server proves itself (daemon-secret.ts, promise 9): its process id may belong to a stranger by now, and so may its port.
 */
import { Effect, Schema } from "effect"
import * as fs from "node:fs"
import { isIP, isIPv6 } from "node:net"
import { networkInterfaces } from "node:os"
import { Health } from "../../api/wire.ts"
import { makeClient } from "../../client/client.ts"
import { holderOf, lockState } from "../../data-directory/lock.ts"
import { DataDirectoryMoved, filesOf } from "../../data-directory/paths.ts"
import { refuseForeign } from "../../data-directory/trusted-directory.ts"
import type { Place } from "./daemon-files.ts"
import { readPlace } from "./daemon-files.ts"
import { isSame, makeChallenge, proofOf } from "./daemon-secret.ts"
import { identityOf } from "./process-identity.ts"

/** A server of ours that answers. */
export interface Found {
  readonly url: string
  readonly port: number
  readonly health: Health
}

/** A local server answers within milliseconds; a busy one within this time. */
const healthTimeout = "2 seconds"

/**
 * The running server of a data directory; undefined when no server proves that it is the one. Fails when its server knows
 * the directory by another path.
 */
export const find = Effect.fnUntraced(function*(dataDirectory: string) {
  const found = yield* findProven(dataDirectory)
  if (found === undefined || isSameDirectory(found.health.dataDirectory, dataDirectory)) return found
  const { dataDirectory: before, pid, process: identity } = found.health
  // A container may know the directory by another path; only here does that mean that it was renamed.
  if (identity !== identityOf(pid)) return found
  return yield* new DataDirectoryMoved({ dataDirectory, pid, before })
})

/**
 * The server that knows the secret in the directory and holds its lock, also when the directory had another path when the
 * server started. The secret alone proves nothing: it may have come with a copy of the directory, or from another user. The
 * lock is the kernel's word. A server of an earlier version has no secret, and the lock alone says that it is the one.
 */
export const findProven = Effect.fnUntraced(function*(dataDirectory: string) {
  yield* refuseForeign(dataDirectory)
  const place = readPlace(dataDirectory)
  if (place === undefined) return undefined
  if (place.secret === undefined) {
    return (yield* holdsLock(dataDirectory, place.pid)) ? yield* askServer(place) : undefined
  }
  const found = yield* askServer(place)
  return found !== undefined && (yield* isLockedBy(found, dataDirectory)) ? found : undefined
})

/** The server at that place, if it proves itself. */
export const askServer = Effect.fnUntraced(function*({ host, pid, port, secret }: Place) {
  const url = `http://${
    host === undefined || !isOfMachine(host) ? "127.0.0.1" : isIPv6(host) ? `[${host}]` : host
  }:${port}`
  const health = yield* (secret === undefined ? makeClient(url).health : provenHealth(url, port, secret)).pipe(
    Effect.timeout(healthTimeout),
    Effect.orElseSucceed(() => undefined)
  )
  return health?.pid === pid ? { url, port, health } satisfies Found : undefined
})

/** Whether this process holds the lock, by the kernel's list; a process that holds it has its port, too. */
export const holdsLock = Effect.fnUntraced(function*(dataDirectory: string, pid: number) {
  const { lock } = filesOf(dataDirectory)
  if ((yield* lockState(lock)) !== "held") return false
  return process.platform !== "linux" || holderOf(lock) === pid
})

/** Whether that server holds the lock. A server in a container has another number here: then any holder will do. */
const isLockedBy = ({ health: { pid, process: identity } }: Found, dataDirectory: string) =>
  Effect.suspend(() => {
    const { lock } = filesOf(dataDirectory)
    // The kernel's list is read first: taking the lock would load SQLite into every command.
    const holder = holderOf(lock)
    if (holder !== undefined && (holder === pid || identity === identityOf(pid))) return Effect.succeed(holder === pid)
    return Effect.map(lockState(lock), (state) => state === "held")
  })

/** Whether two paths lead to one directory: by links, or mounted at two places. */
const isSameDirectory = (one: string, other: string): boolean => {
  try {
    const [a, b] = [fs.statSync(one, { bigint: true }), fs.statSync(other, { bigint: true })]
    return a.dev === b.dev && a.ino === b.ino
  } catch {
    return false
  }
}

/** The answer of `/health`, if it comes from a server that knows the secret and listens on that very port. */
const provenHealth = Effect.fnUntraced(function*(url: string, port: number, secret: string) {
  const challenge = makeChallenge()
  const { body, proof } = yield* makeClient(url).provenHealth(challenge)
  if (proof === undefined || !isSame(proof, proofOf(secret, port, challenge, body))) return undefined
  return yield* Schema.decodeEffect(Schema.fromJsonString(Health))(body)
})

/** Whether the address is one of this machine: a file may name any. */
const isOfMachine = (host: string): boolean =>
  isIP(host) !== 0 && (/^127\.|^::1$/.test(host) ||
    Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === host)))
