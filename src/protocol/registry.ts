/**
 * The registry (docs/protocol.md 16): whoever makes a stream named `__registry__` finds every other stream in it, and is
 * told there of each that is made or deleted from then on. Written behind the appends, never in their way; what a crash
 * kept from it is made up for at the next start.
 */
import { Cause, Effect, Layer, Option, Predicate, Queue } from "effect"
import type { StreamName } from "../domain/types.ts"
import { isJson, isReserved, jsonType, registryName as registry } from "../domain/types.ts"
import { parseEvent } from "../event/event-block.ts"
import { EventData } from "../event/event-data.ts"
import { StreamManager } from "../manager/stream-manager.ts"
import type { StreamDescription } from "../storage/storage.ts"
import type { Cursor } from "../stream/durable-stream.ts"

/** Changes that are appended at once, when there are many. */
const changesMax = 500

/** Keeps the registry while there is one, until the scope closes. */
export const layerRegistry = Layer.effectDiscard(Effect.gen(function*() {
  const manager = yield* StreamManager
  const heard = yield* Queue.unbounded<Heard>()
  /** The streams that the registry tells of; undefined while there is no registry to keep. */
  let known: Set<string> | undefined
  /** Whether changes of other streams matter: there is a registry. */
  let listening = false
  const listen = (what: Heard["what"]) => (description: StreamDescription) => {
    if (description.name === registry || (listening && isTold(description.name))) {
      Queue.offerUnsafe(heard, { what, description })
    }
  }
  // All streams, and not only the registry itself: between reading the names and hearing of changes there is no gap.
  const streams = yield* manager.observe("", { created: listen("made"), deleted: listen("deleted") })

  /** Writes as many as there are, a commit at a time. */
  const write = Effect.fnUntraced(function*(changes: ReadonlyArray<Change>) {
    for (let from = 0; from < changes.length; from += changesMax) {
      const data = changes.slice(from, from + changesMax).map(EventData.fromValue)
      yield* manager.append(registry, { data, contentType: jsonType, mustExist: true })
    }
  })

  /** Takes up a registry that is there: what it says is compared with what there is. */
  const takeUp = Effect.gen(function*() {
    const told = yield* readRegistry(manager)
    listening = told !== undefined
    if (told === undefined) return
    const names = new Set<string>()
    for (const [i, name] of (yield* streams.names).entries()) {
      // A thousand are less than a millisecond.
      if (i % 1_000 === 999) yield* Effect.yieldNow
      if (isTold(name)) names.add(name)
    }
    let changes: Array<Change> = [...told].filter((name) => !names.has(name)).map(toDelete)
    for (const name of names) {
      if (!told.has(name)) changes.push(...yield* describe(manager, name as StreamName))
      if (changes.length < changesMax) continue
      yield* write(changes)
      changes = []
    }
    if (changes.length > 0) yield* write(changes)
    known = names
  })

  /** What could not be written is found by comparing: as soon as the disk has room again, not at the next start. */
  const takeUpAgain = (pauseMillis: number): Effect.Effect<void> =>
    Effect.sleep(pauseMillis).pipe(
      Effect.andThen(takeUp),
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause) ? Effect.interrupt : takeUpAgain(Math.min(pauseMax, pauseMillis * 2))
      )
    )

  const hear = Effect.fnUntraced(function*(all: ReadonlyArray<Heard>) {
    const changes: Array<Change> = []
    for (const { description, what } of all) {
      const { name } = description
      if (name === registry) {
        changes.length = 0
        known = undefined
        listening = false
        if (what === "made") yield* takeUp
      } else if (known === undefined || known.has(name) === (what === "made")) {
        // There is no registry, or it was told already when it was taken up.
      } else if (what === "made") {
        known.add(name)
        changes.push(toInsert(description))
      } else {
        known.delete(name)
        changes.push(toDelete(name))
      }
    }
    if (changes.length > 0) yield* write(changes)
  })

  yield* safely(takeUp).pipe(
    // What is still waiting when the server stops is written, too.
    Effect.tap(Effect.addFinalizer(() => Effect.flatMap(Queue.clear(heard), (all) => safely(hear(all))))),
    Effect.andThen((isTakenUp) => isTakenUp ? Effect.void : takeUpAgain(pauseMin)),
    Effect.andThen(Effect.forever(
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(
          restore(Queue.takeAll(heard)),
          (all) =>
            Effect.andThen(safely(hear(all)), (isWritten) => isWritten ? Effect.void : restore(takeUpAgain(pauseMin)))
        )
      )
    )),
    Effect.forkScoped
  )
}))

/** Answers whether it succeeded. The registry is nobody's first concern: a failure is logged, and it goes on. */
const safely = <E, R>(keeping: Effect.Effect<unknown, E, R>) =>
  Effect.catchCause(Effect.as(keeping, true), (cause) =>
    Cause.hasInterruptsOnly(cause)
      ? Effect.interrupt
      : Effect.as(Effect.logWarning("The registry lacks streams that were made or deleted just now", cause), false))

/** Before it is tried again, in milliseconds, doubled each time. */
const pauseMin = 1_000
const pauseMax = 60_000

interface Heard {
  readonly what: "made" | "deleted"
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

const isTold = (name: string): boolean => name !== registry && !isReserved(name)

/** The insertion of a stream that is there; nothing for one that is gone by now, or cannot be opened. */
const describe = Effect.fnUntraced(function*(manager: StreamManager["Service"], name: StreamName) {
  const stream = yield* Effect.option(manager.get(name))
  const info = Option.isSome(stream) ? yield* Effect.option(stream.value.info) : Option.none()
  return Option.isSome(info) ? [toInsert(info.value.description)] : []
}, Effect.scoped)

/** The streams that the registry says there are; undefined where there is none, or it is none of ours. */
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

/** Others may write to the registry, too. */
const isChange = (data: unknown): data is Change =>
  Predicate.hasProperty(data, "type") && data.type === "stream" &&
  Predicate.hasProperty(data, "key") && typeof data.key === "string" &&
  Predicate.hasProperty(data, "headers") && Predicate.hasProperty(data.headers, "operation")
