/**
 * A log used as keyed state, without events. A log only grows, and a busy state changes all the time: when its log has
 * become long, the state moves to a new log, whose name has the next number. A log is created together with its first
 * commit, so after a crash the log with the highest number is whole, and the others are left-overs.
 */
import { Effect, Exit, Scope } from "effect"
import type { LogDamaged, StorageError, StorageFull, StreamNotFound } from "../domain/errors.ts"
import type { StreamName } from "../domain/types.ts"
import { jsonType } from "../domain/types.ts"
import { emptyBlock } from "../event/event-block.ts"
import type { Log, StateChange, Storage, StreamDescription } from "./storage.ts"
import { applyState } from "./storage.ts"

/** One open state. Its owner calls `commit` and `delete` one at a time. */
export interface StateLog {
  readonly description: StreamDescription
  /** The state after the newest durable commit. Its owner only reads it. */
  readonly state: ReadonlyMap<string, string>
  /** Changes the state. Success: the changes are durable. Failure: none of them is made. */
  readonly commit: (
    changes: ReadonlyArray<StateChange>
  ) => Effect.Effect<void, StorageError | StorageFull | StreamNotFound>
  readonly delete: Effect.Effect<void, StorageError>
}

/** One kind of state logs: their names are `<prefix><number>/<id>`. */
export interface StateLogKind {
  /** Reserved for the server: no stream's name begins with it. */
  readonly prefix: string
  /** The owner of such a state, as a log line names it: "a subscription". */
  readonly owner: string
}

/** A log's bytes before its state moves on, unless the state itself is larger than an eighth of it. */
const logBytesMax = 1024 * 1024

/** A name's number and id; undefined for a name of another kind. */
const parseName = (
  { prefix }: StateLogKind,
  name: string
): { readonly number: number; readonly id: string } | undefined => {
  const match = name.startsWith(prefix) ? /^(\d{1,15})\/(.+)$/s.exec(name.slice(prefix.length)) : null
  return match === null ? undefined : { number: Number(match[1]), id: match[2]! }
}

const nameOf = ({ prefix }: StateLogKind, number: number, id: string) => `${prefix}${number}/${id}` as StreamName

/** The longest name that a log of this id may get. */
export const longestStateLogName = (kind: StateLogKind, id: string): string => nameOf(kind, 999_999_999_999_999, id)

/** Creates a state. It stays open until the scope closes. */
export const createStateLog = (
  storage: Storage["Service"],
  scope: Scope.Scope,
  kind: StateLogKind,
  { createdAt, id, life }: { readonly id: string; readonly life: string; readonly createdAt: string },
  state: ReadonlyArray<StateChange>
): Effect.Effect<StateLog, StorageError | StorageFull> => {
  const description = { name: nameOf(kind, 0, id), contentType: jsonType, createdAt, id: life }
  return Effect.map(
    own(scope, storage.create(description, { events: emptyBlock(0), state })),
    (log) => makeStateLog(storage, scope, kind, log)
  )
}

/** Opens the state whose newest log has this name. */
export const openStateLog = (
  storage: Storage["Service"],
  scope: Scope.Scope,
  kind: StateLogKind,
  name: StreamName
): Effect.Effect<StateLog, StorageError | LogDamaged | StreamNotFound> =>
  Effect.map(own(scope, storage.open(name)), (log) => makeStateLog(storage, scope, kind, log))

/** The newest log of each id when the storage was opened. Deletes the left-overs; the next start tries again if one stays. */
export const findStateLogs = Effect.fnUntraced(function*(
  storage: Storage["Service"],
  kind: StateLogKind
): Effect.fn.Return<ReadonlyMap<string, StreamName>> {
  const newest = new Map<string, { readonly number: number; readonly name: StreamName }>()
  for (const name of (yield* storage.atStart).listed) {
    const parsed = parseName(kind, name)
    if (parsed === undefined) continue
    const other = newest.get(parsed.id)
    const older = other === undefined || other.number < parsed.number ? other?.name : name
    if (older !== name) newest.set(parsed.id, { number: parsed.number, name })
    if (older !== undefined) yield* Effect.ignore(storage.delete(older))
  }
  return new Map([...newest].map(([id, { name }]) => [id, name]))
})

/** An open log, and the effect that closes it. */
interface OwnedLog {
  readonly log: Log
  readonly close: Effect.Effect<void>
}

const own = <E>(parent: Scope.Scope, opening: Effect.Effect<Log, E, Scope.Scope>): Effect.Effect<OwnedLog, E> =>
  Effect.gen(function*() {
    const scope = yield* Scope.fork(parent)
    const close = Scope.close(scope, Exit.void)
    const log = yield* Effect.onError(Scope.provide(opening, scope), () => close)
    return { log, close }
  })

const makeStateLog = (
  storage: Storage["Service"],
  scope: Scope.Scope,
  kind: StateLogKind,
  first: OwnedLog
): StateLog => {
  let { close, log } = first
  let written = 0
  const { description } = log
  const { id, number } = parseName(kind, description.name)!
  let next = number + 1

  /** Creates the next log with the whole state; from then on it is the one that counts. */
  const moveOn = Effect.fnUntraced(function*(changes: ReadonlyArray<StateChange>) {
    const state = new Map(log.state)
    applyState(state, changes)
    const name = nameOf(kind, next++, id)
    const moved = yield* own(
      scope,
      storage.create({ ...description, name }, { events: emptyBlock(0), state: [...state] })
    )
    const old = log.description.name
    yield* close
    log = moved.log
    close = moved.close
    written = 0
    yield* Effect.catch(
      storage.delete(old),
      (error) =>
        Effect.logWarning(`An old log of ${kind.owner} is still there`).pipe(
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

/** About how many bytes a commit takes in a log. */
const bytesOf = (changes: Iterable<readonly [string, string | undefined]>): number => {
  let bytes = 100
  for (const [key, value = ""] of changes) bytes += key.length + value.length
  return bytes
}
