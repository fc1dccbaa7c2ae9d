/**
 * The log of one subscription: its keyed state, and no events. A log only grows, and a busy subscription changes all the
 * time: when its log has become long, the state moves to a new one, whose name has the next number. Making a log with its
 * first commit is one step, so after a crash the log with the highest number is whole, and others are left-overs.
 */
import { Effect, Exit, Scope } from "effect"
import type { LogDamaged, StorageError, StorageFull, StreamNotFound } from "../domain/errors.ts"
import type { StreamName } from "../domain/types.ts"
import { jsonType } from "../domain/types.ts"
import { emptyBlock } from "../event/event-block.ts"
import type { Log, StateChange, Storage, StreamDescription } from "./storage.ts"
import { applyState } from "./storage.ts"

/** Logs of subscriptions have names that begin with this, which no stream's does. */
export const logPrefix = "__ds/subscriptions/"

/** What is written to a log before the state moves on, unless the state itself is larger than an eighth of it. */
const logBytesMax = 1024 * 1024

type CommitFailed = StorageError | StorageFull | StreamNotFound

export interface SubscriptionLog {
  readonly description: StreamDescription
  readonly state: ReadonlyMap<string, string>
  readonly commit: (changes: ReadonlyArray<StateChange>) => Effect.Effect<void, CommitFailed>
  readonly delete: Effect.Effect<void, StorageError>
}

/** A name's number and the subscription's id; undefined for a name of another kind. */
export const parseLogName = (name: string): { readonly number: number; readonly id: string } | undefined => {
  const found = /^__ds\/subscriptions\/(\d{1,15})\/(.+)$/s.exec(name)
  return found === null ? undefined : { number: Number(found[1]), id: found[2]! }
}

const logName = (number: number, id: string) => `${logPrefix}${number}/${id}` as StreamName

/** The longest name that a log of this subscription may come to have. */
export const longestLogName = (id: string): string => logName(999_999_999_999_999, id)

export const createLog = (
  storage: Storage["Service"],
  scope: Scope.Scope,
  { createdAt, id, life }: { readonly id: string; readonly life: string; readonly createdAt: string },
  state: ReadonlyArray<StateChange>
): Effect.Effect<SubscriptionLog, StorageError | StorageFull> => {
  const description = { name: logName(0, id), contentType: jsonType, createdAt, id: life }
  return Effect.map(
    owned(scope, created(storage, description, { events: emptyBlock(0), state })),
    (log) => makeLog(storage, scope, log)
  )
}

export const openLog = (
  storage: Storage["Service"],
  scope: Scope.Scope,
  name: StreamName
): Effect.Effect<SubscriptionLog, StorageError | LogDamaged | StreamNotFound> =>
  Effect.map(owned(scope, storage.open(name)), (log) => makeLog(storage, scope, log))

/** Streams of the server's own are not counted among those of which there may be too many. */
const created = (storage: Storage["Service"], ...[description, first]: Parameters<Storage["Service"]["create"]>) =>
  Effect.catchTag(storage.create(description, first), "TooManyStreams", Effect.die)

/** An open log and what closes it. */
interface Owned {
  readonly log: Log
  readonly close: Effect.Effect<void>
}

const owned = <E>(parent: Scope.Scope, opening: Effect.Effect<Log, E, Scope.Scope>): Effect.Effect<Owned, E> =>
  Effect.gen(function*() {
    const scope = yield* Scope.fork(parent)
    const close = Scope.close(scope, Exit.void)
    const log = yield* Effect.onError(Scope.provide(opening, scope), () => close)
    return { log, close }
  })

const makeLog = (storage: Storage["Service"], scope: Scope.Scope, first: Owned): SubscriptionLog => {
  let { close, log } = first
  let written = 0
  const { description } = log
  const { id, number } = parseLogName(description.name)!
  let next = number + 1

  /** The next log holds everything: from then on it is the one. */
  const moveOn = Effect.fnUntraced(function*(changes: ReadonlyArray<StateChange>) {
    const state = new Map(log.state)
    applyState(state, changes)
    const name = logName(next++, id)
    const made = yield* owned(
      scope,
      created(storage, { ...description, name }, { events: emptyBlock(0), state: [...state] })
    )
    const old = log.description.name
    yield* close
    log = made.log
    close = made.close
    written = 0
    yield* Effect.catch(
      storage.delete(old),
      (error) =>
        Effect.logWarning("An old log of a subscription is still there").pipe(
          Effect.annotateLogs({ log: old, error: error.message })
        )
    )
  })

  return {
    description,
    get state() {
      return log.state
    },
    commit: (changes) =>
      Effect.suspend(() => {
        const bytes = bytesOf(changes)
        if (written + bytes > logBytesMax && written > 8 * bytesOf(log.state)) return moveOn(changes)
        return Effect.tap(log.commit({ events: emptyBlock(log.tail), state: changes }), () => {
          written += bytes
          return Effect.void
        })
      }),
    delete: Effect.suspend(() =>
      Effect.andThen(close, Effect.catchTag(storage.delete(log.description.name), "StreamNotFound", () => Effect.void))
    )
  }
}

/** What a commit takes in a log, about. */
const bytesOf = (changes: Iterable<readonly [string, string | undefined]>): number => {
  let bytes = 100
  for (const [key, value = ""] of changes) bytes += key.length + value.length
  return bytes
}
