/**
 * The registry (docs/protocol.md 16): a client that makes a stream named `__registry__` finds every other stream in it, and
 * then an event for each stream that is made or deleted. The server writes it behind the appends, never in their way, and
 * adds at the next start the changes that a crash lost.
 */
import { Cause, Effect, Layer, Option, Predicate, Queue } from "effect"
import type { StreamName } from "../domain/types.ts"
import { isJson, isReserved, jsonType, registryName as registry } from "../domain/types.ts"
import { parseEvent } from "../event/event-block.ts"
import { EventData } from "../event/event-data.ts"
import { StreamManager } from "../manager/stream-manager.ts"
import type { StreamDescription } from "../storage/storage.ts"
import type { Cursor } from "../stream/durable-stream.ts"

/** The most changes of one append. */
const changesMax = 500

/** Keeps the registry while it exists, until the scope closes. */
export const layerRegistry = Layer.effectDiscard(Effect.gen(function*() {
  const manager = yield* StreamManager
  const signals = yield* Queue.unbounded<Signal>()
  /** The streams that the registry lists; undefined while the server keeps no registry. */
  let known: Set<string> | undefined
  /** Whether changes of other streams are queued. */
  let isListening = false
  const listen = (event: Signal["event"]) => (description: StreamDescription) => {
    if (description.name === registry || (isListening && isListed(description.name))) {
      Queue.offerUnsafe(signals, { event, description })
    }
  }
  // All streams, and not only the registry itself: between reading the names and hearing of changes there is no gap.
  const streams = yield* manager.observe("", { created: listen("made"), deleted: listen("deleted") })

  /** Writes all changes, a commit at a time. */
  const write = Effect.fnUntraced(function*(changes: ReadonlyArray<Change>) {
    for (let from = 0; from < changes.length; from += changesMax) {
      const data = changes.slice(from, from + changesMax).map(EventData.fromValue)
      yield* manager.append(registry, { data, contentType: jsonType, mustExist: true })
    }
  })

  /** Compares a registry that exists with the streams that exist, and writes the difference. */
  const takeUp = Effect.gen(function*() {
    const listed = yield* readRegistry(manager)
    isListening = listed !== undefined
    if (listed === undefined) return
    const names = new Set<string>()
    for (const [i, name] of (yield* streams.names).entries()) {
      // A thousand are less than a millisecond.
      if (i % 1_000 === 999) yield* Effect.yieldNow
      if (isListed(name)) names.add(name)
    }
    let changes: Array<Change> = [...listed].filter((name) => !names.has(name)).map(toDelete)
    for (const name of names) {
      if (!listed.has(name)) changes.push(...yield* describe(manager, name as StreamName))
      if (changes.length < changesMax) continue
      yield* write(changes)
      changes = []
    }
    if (changes.length > 0) yield* write(changes)
    known = names
  })

  /** After a failed write, compares again until that succeeds: as soon as the disk has room, not at the next start. */
  const takeUpAgain = (pauseMillis: number): Effect.Effect<void> =>
    Effect.sleep(pauseMillis).pipe(
      Effect.andThen(takeUp),
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause) ? Effect.interrupt : takeUpAgain(Math.min(pauseMax, pauseMillis * 2))
      )
    )

  const record = Effect.fnUntraced(function*(all: ReadonlyArray<Signal>) {
    const changes: Array<Change> = []
    for (const { description, event } of all) {
      const { name } = description
      if (name === registry) {
        changes.length = 0
        known = undefined
        isListening = false
        if (event === "made") yield* takeUp
      } else if (known === undefined || known.has(name) === (event === "made")) {
        // No registry exists, or it has had this change since it was compared.
      } else if (event === "made") {
        known.add(name)
        changes.push(toInsert(description))
      } else {
        known.delete(name)
        changes.push(toDelete(name))
      }
    }
    if (changes.length > 0) yield* write(changes)
  })

  yield* succeeds(takeUp).pipe(
    // When the server stops, it writes the changes that still wait.
    Effect.tap(Effect.addFinalizer(() => Effect.flatMap(Queue.clear(signals), (all) => succeeds(record(all))))),
    Effect.andThen((isTakenUp) => isTakenUp ? Effect.void : takeUpAgain(pauseMin)),
    Effect.andThen(Effect.forever(
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(
          restore(Queue.takeAll(signals)),
          (all) =>
            Effect.andThen(
              succeeds(record(all)),
              (isWritten) => isWritten ? Effect.void : restore(takeUpAgain(pauseMin))
            )
        )
      )
    )),
    Effect.forkScoped
  )
}))

/** Returns whether the effect succeeded. Streams work without the registry, so a failure is only logged. */
const succeeds = <E, R>(effect: Effect.Effect<unknown, E, R>) =>
  Effect.catchCause(Effect.as(effect, true), (cause) =>
    Cause.hasInterruptsOnly(cause)
      ? Effect.interrupt
      : Effect.as(Effect.logWarning("The registry lacks streams that were made or deleted just now", cause), false))

/** The pause before the next try, in milliseconds, doubled each time. */
const pauseMin = 1_000
const pauseMax = 60_000

interface Signal {
  readonly event: "made" | "deleted"
  readonly description: StreamDescription
}

/** A change event of the State Protocol, as its `createStateSchema` makes them. */
interface Change {
  readonly type: "stream"
  readonly key: string
  readonly value?: { readonly path: string; readonly contentType: string; readonly createdAt: number }
  readonly headers: { readonly operation: "insert" | "delete" }
}

const toInsert = ({ contentType, createdAt, name }: StreamDescription): Change => ({
  type: "stream",
  key: name,
  value: { path: name, contentType, createdAt: Date.parse(createdAt) },
  headers: { operation: "insert" }
})

const toDelete = (name: string): Change => ({ type: "stream", key: name, headers: { operation: "delete" } })

const isListed = (name: string): boolean => name !== registry && !isReserved(name)

/** The insertion of a stream that exists; none for a stream that is gone by now or cannot be opened. */
const describe = Effect.fnUntraced(function*(manager: StreamManager["Service"], name: StreamName) {
  const stream = yield* Effect.option(manager.get(name))
  const info = Option.isSome(stream) ? yield* Effect.option(stream.value.info) : Option.none()
  return Option.isSome(info) ? [toInsert(info.value.description)] : []
}, Effect.scoped)

/** The streams that the registry lists; undefined when it does not exist, is closed, or is not JSON. */
const readRegistry = Effect.fnUntraced(function*(manager: StreamManager["Service"]) {
  const stream = yield* manager.get(registry)
  const info = yield* Effect.option(stream.info)
  if (Option.isNone(info) || info.value.closed || !isJson(info.value.description.contentType)) return undefined
  const names = new Set<string>()
  let cursor: Cursor = { life: info.value.life, next: 0 }
  while (true) {
    // The events of a block are parsed in one turn.
    yield* Effect.yieldNow
    const block = yield* stream.read(cursor)
    if (block.count === 0) return names
    for (let i = 0; i < block.count; i++) {
      const { data } = parseEvent(block, i)
      if (!isChange(data)) continue
      if (data.headers.operation === "delete") names.delete(data.key)
      else names.add(data.key)
    }
    cursor = { life: cursor.life, next: block.first + block.count }
  }
}, Effect.scoped)

/** Clients may write to the registry, too. */
const isChange = (data: unknown): data is Change =>
  Predicate.hasProperty(data, "type") && data.type === "stream" &&
  Predicate.hasProperty(data, "key") && typeof data.key === "string" &&
  Predicate.hasProperty(data, "headers") && Predicate.hasProperty(data.headers, "operation")
