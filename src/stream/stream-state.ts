/**
 * The entries of a stream's state (docs/storage-format.md 4): their keys and their values. Each is committed with the events
 * it belongs to and lives as long as the stream.
 */
import type { StreamName } from "../domain/types.ts"
import type { StateChange } from "../storage/storage.ts"
import type { ProducerNumber } from "./durable-stream.ts"

/** The state, or the state as it will be after the commit that is being put together. */
export interface StateView {
  readonly get: (key: string) => string | undefined
}

export const isClosed = (state: StateView): boolean => state.get(closedKey) !== undefined

/** Whether it was this append that closed the stream. */
export const isClosedBy = (state: StateView, { epoch, id, seq }: ProducerNumber): boolean =>
  state.get(closedKey) === closing({ id, epoch, seq })

/** Closes the stream. The closing append of a producer is kept, so that the producer can repeat it. */
export const close = (
  by: ProducerNumber | undefined
): StateChange => [closedKey, by === undefined ? "true" : closing(by)]

/** The highest number accepted of a producer. */
export const lastOf = (
  state: StateView,
  producer: string
): { readonly epoch: number; readonly seq: number } | undefined => {
  const text = state.get(producerKey(producer))
  if (text === undefined) return undefined
  const [epoch, seq] = JSON.parse(text) as [number, number]
  return { epoch, seq }
}

export const accept = ({ epoch, id, seq }: ProducerNumber): StateChange => [producerKey(id), `[${epoch},${seq}]`]

/** How many producers the stream knows; goes over every entry. */
export const countProducers = (state: ReadonlyMap<string, string>): number => {
  let count = 0
  for (const key of state.keys()) if (key.startsWith(producerPrefix)) count++
  return count
}

export const knowsProducer = (state: StateView, producer: string): boolean =>
  state.get(producerKey(producer)) !== undefined

/** The `Stream-Seq` of the newest append that had one. */
export const lastSeq = (state: StateView): string | undefined => {
  const text = state.get(seqKey)
  return text === undefined ? undefined : JSON.parse(text) as string
}

export const setSeq = (seq: string): StateChange => [seqKey, JSON.stringify(seq)]

/** The forks that read this stream: id and name. */
export const forksOf = (state: ReadonlyMap<string, string>): ReadonlyArray<readonly [id: string, name: StreamName]> =>
  [...state].filter(([key]) => key.startsWith(forkPrefix)).map(([key, name]) =>
    [key.slice(forkPrefix.length), JSON.parse(name) as StreamName] as const
  )

/** The name of the fork of this id, if the stream is kept for it. */
export const forkOf = (state: StateView, id: string): StreamName | undefined => {
  const name = state.get(forkPrefix + id)
  return name === undefined ? undefined : JSON.parse(name) as StreamName
}

export const keepFor = (forkId: string, name: StreamName): StateChange => [forkPrefix + forkId, JSON.stringify(name)]

export const keepNoMore = (forkId: string): StateChange => [forkPrefix + forkId, undefined]

const closedKey = "closed"
const seqKey = "seq"
const producerPrefix = "producer:"
const producerKey = (id: string) => producerPrefix + id
const forkPrefix = "fork:"

const closing = ({ epoch, id, seq }: ProducerNumber) => JSON.stringify({ producer: id, epoch, seq })
