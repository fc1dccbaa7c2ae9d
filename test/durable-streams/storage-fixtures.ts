/**
 * Commits and streams in few words, for every test that stores something.
 */
import { Effect, type Fiber } from "effect"
import type { AppendRequest, DurableStream } from "../../src/durable-streams/durable-stream.ts"
import { eventText, layOut } from "../../src/durable-streams/event-block.ts"
import type { Commit, Log, StreamDescription } from "../../src/durable-streams/storage.ts"
import type { EventBlock, StreamName } from "../../src/durable-streams/types.ts"
import { EventData } from "../../src/durable-streams/event-data.ts"
import { toOffset } from "../../src/durable-streams/types.ts"

const epoch = "1970-01-01T00:00:00.000Z"

export const named = (name: string): StreamName => name as StreamName

export const described = (name: string): StreamDescription => ({
  name: named(name),
  contentType: "application/json",
  createdAt: epoch
})

/** An event as the API shows it. */
export const shown = (name: string, offset: number, data: string): string =>
  `{"offset":"${toOffset(offset)}","eventStreamId":${JSON.stringify(name)},"data":${data},"createdAt":"${epoch}"}`

const blockOf = (name: string, first: number, data: ReadonlyArray<string>): EventBlock =>
  layOut(first, data.map((text, i) => `${shown(name, first + i, text)}\n`))

export const commitOf = (name: string, first: number, data: ReadonlyArray<string>, state?: string): Commit => ({
  events: blockOf(name, first, data),
  state
})

/** The events of a block as texts. */
export const textsOf = (block: EventBlock): Array<string> =>
  Array.from({ length: block.count }, (_, i) => eventText(block, i))

/** Every event from `from` up to `tail`, read as a follower would: on from where the last answer ended. */
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

/** Lets every fiber that can run run, until all of them wait. */
export const settled = Effect.repeat(Effect.yieldNow, { times: 20 })

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
