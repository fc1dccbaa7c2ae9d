/**
 * Commits and streams in few words, for every test that stores something.
 */
import { Effect, type Fiber } from "effect"
import type { EventBlock, StreamName } from "../../src/domain/types.ts"
import { toOffset } from "../../src/domain/types.ts"
import { eventText } from "../../src/event/event-block.ts"
import { EventData } from "../../src/event/event-data.ts"
import type { Commit, Log, StreamDescription } from "../../src/storage/storage.ts"
import type { AppendRequest, DurableStream } from "../../src/stream/durable-stream.ts"

const epoch = "1970-01-01T00:00:00.000Z"

export const named = (name: string): StreamName => name as StreamName

export const described = (name: string): StreamDescription => ({
  name: named(name),
  contentType: "application/json",
  createdAt: epoch,
  id: "one"
})

/** An event as the API shows it. */
export const shown = (name: string, offset: number, data: string): string =>
  `{"offset":"${toOffset(offset)}","eventStreamId":${JSON.stringify(name)},"data":${data},"createdAt":"${epoch}"}`

/** The block that begins at `first` and has these events. */
export const blockOfLines = (first: number, lines: ReadonlyArray<string>): EventBlock => {
  const starts: Array<number> = []
  const ends: Array<number> = []
  let at = 0
  for (const line of lines) {
    starts.push(at)
    at += Buffer.byteLength(line)
    ends.push(at++)
  }
  return { first, count: lines.length, bytes: Buffer.from(lines.map((line) => `${line}\n`).join("")), starts, ends }
}

const blockOf = (name: string, first: number, data: ReadonlyArray<string>): EventBlock =>
  blockOfLines(first, data.map((text, i) => shown(name, first + i, text)))

/** `state` holds the entries that the commit changes, as the text of a JSON object; a removed entry is null. */
export const commitOf = (name: string, first: number, data: ReadonlyArray<string>, state = "{}"): Commit => ({
  events: blockOf(name, first, data),
  state: Object.entries(JSON.parse(state) as object).map(([key, value]) => [
    key,
    value === null ? undefined : JSON.stringify(value)
  ])
})

/** The state of a log, as the text of a JSON object. */
export const stateOf = ({ state }: Pick<Log, "state">): string =>
  JSON.stringify(Object.fromEntries([...state].map(([key, value]) => [key, JSON.parse(value) as unknown])))

/** The events of a block, or of an append, as texts. */
export const textsOf = (block: EventBlock | { readonly events: EventBlock }): Array<string> => {
  const events = "events" in block ? block.events : block
  return Array.from({ length: events.count }, (_, i) => eventText(events, i))
}

/** Every event from `from` up to `tail`, read as a follower reads: each read begins where the last one ended. */
export const readUpTo = Effect.fnUntraced(function*(log: Pick<Log, "read">, tail: number, from = 0, bytesMax = 1024) {
  const texts: Array<string> = []
  while (from < tail) {
    const block = yield* log.read(from, bytesMax)
    texts.push(...textsOf(block))
    from = block.first + block.count
  }
  return texts
})

/** An append of these values, as one commit. */
export const appending = (...values: ReadonlyArray<unknown>): AppendRequest => ({
  data: values.map(EventData.fromValue)
})

/** A turn of the event loop; the writers take their turn at its end. */
export const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))

/** Lets every fiber that can run run, until all of them wait. */
export const settled = Effect.repeat(turn, { times: 20 })

/** Every event of the stream, as texts. */
export const historyOf = Effect.fnUntraced(function*(stream: Pick<DurableStream, "cursor" | "read">) {
  const texts: Array<string> = []
  let cursor = yield* stream.cursor("beginning")
  while (true) {
    const block = yield* stream.read(cursor)
    if (block.count === 0) return texts
    texts.push(...textsOf(block))
    cursor = { ...cursor, next: block.first + block.count }
  }
})

export const isDone = <A, E>(fiber: Fiber.Fiber<A, E>) => fiber.pollUnsafe() !== undefined
