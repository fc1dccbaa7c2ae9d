/**
 * The subscriptions that a storage holds, opened at the start of the server. A log that cannot be read damages its own
 * subscription only.
 */
import { Effect, Semaphore } from "effect"
import { StorageFailed } from "../../domain/errors.ts"
import type { StreamName } from "../../domain/types.ts"
import { logPrefix, openLog, parseLogName } from "../../storage/state-log.ts"
import type { Storage } from "../../storage/storage.ts"
import type { Subscription } from "../machine/subscription.ts"
import { makeMissedNews } from "./missed-news.ts"
import type { Workshop } from "./runners.ts"
import { fromState, stringEntry } from "./state-codec.ts"

/** So many subscriptions at a time are opened, and look at their streams. */
const openedAtOnce = 16

/** Opens all of them. Each learns the news that it missed in the background; a request for it waits until then. */
export const openStored = Effect.fnUntraced(function*(workshop: Workshop) {
  const { lookup, names, shared: { fork, interest }, storage } = workshop
  const logs = yield* findNewestLogs(storage)
  const opened = yield* Effect.forEach(logs, ([id, name]) => open(workshop, id, name), { concurrency: openedAtOnce })
  const learnMissed = yield* makeMissedNews(names, interest, lookup, fork)
  const learning = yield* Semaphore.make(openedAtOnce)
  for (const one of opened) {
    if (one === undefined) continue
    const [runner, { links }] = one
    fork(runner.lock.withPermit(learning.withPermit(learnMissed(runner, links.keys()))))
  }
})

/** The newest log of each subscription by its id. An older one was left behind when a log moved on, and is deleted. */
const findNewestLogs = Effect.fnUntraced(function*(storage: Storage["Service"]) {
  const newest = new Map<string, { readonly number: number; readonly name: StreamName }>()
  for (const name of (yield* storage.atStart).listed) {
    if (!name.startsWith(logPrefix)) continue
    const parsed = parseLogName(name)
    if (parsed === undefined) continue
    const other = newest.get(parsed.id)
    const older = other === undefined || other.number < parsed.number ? other?.name : name
    if (older !== name) newest.set(parsed.id, { number: parsed.number, name })
    if (older !== undefined) yield* Effect.ignore(storage.delete(older))
  }
  return [...newest].map(([id, { name }]) => [id, name] as const)
})

const open = Effect.fnUntraced(function*({ logs, runners, storage }: Workshop, id: string, name: StreamName) {
  const runner = runners.add(id)
  const log = yield* openLog(storage, logs, name)
  const state = yield* Effect.fromResult(fromState(id, log.description, log.state)).pipe(
    Effect.mapError((fault) => new StorageFailed({ message: `The subscription ${id} cannot be read: ${fault}.` }))
  )
  const hash = stringEntry(log.state, "hash") ?? ""
  runner.life = { state, log, hash, base: stringEntry(log.state, "base") ?? "" }
  runner.listen(state.config, explicitPaths(state))
  return [runner, state] as const
}, (opening, { runners, storage }, id, name) =>
  Effect.catch(opening, (failure) => {
    const error = failure._tag === "StreamNotFound" ? new StorageFailed({ message: failure.message }) : failure
    const remove = Effect.catchTag(storage.delete(name), "StreamNotFound", () => Effect.void)
    runners.get(id)!.damage = { error, remove }
    return Effect.logError(`A subscription cannot be used: ${error.message}`).pipe(
      Effect.annotateLogs({ subscription: id }),
      Effect.as(undefined)
    )
  }))

const explicitPaths = ({ links }: Subscription): ReadonlyArray<string> =>
  [...links].filter(([, { explicit }]) => explicit).map(([path]) => path)
