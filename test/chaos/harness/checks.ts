/**
 * The checks that every history must pass (docs/trust.md has the list, C1 to C16). Each append has keys of its own, and
 * the log shows the one order there is. A history is therefore right exactly if that order fits every answer and every
 * delivered event, and their times: sorting and sweeping, O(n log n), no search.
 */
import { patienceMillis } from "../clients/ask.ts"
import type { Append, Final, Follow, History, Operation, Read } from "./ledger.ts"

/** Returns a sentence for each violation, with the number of the check. */
export const check = (history: History): ReadonlyArray<string> =>
  history.finals.flatMap((final) => {
    const operations = history.operations.filter(({ stream }) => stream === final.stream)
    const follows = history.follows.filter(({ stream }) => stream === final.stream)
    const found: Array<string> = []
    const complain = (number: string, what: string) => found.push(`${number} ${final.stream}: ${what}`)
    const stream = new Seen(final, operations)
    checkOffsets(stream, complain)
    checkPlaces(stream, complain)
    checkRealTime(stream, complain)
    checkCommits(stream, complain)
    checkConditions(stream, complain)
    checkClosings(stream, complain)
    checkProducers(stream, complain)
    if (history.troubled !== true) checkAnswers(stream, complain)
    // The final log says nothing about reads of a deleted life.
    if (stream.deletes.length === 0) {
      checkReads(stream, complain)
      for (const follow of follows) checkFollow(stream, follow, complain)
    }
    return found
  })

type Complain = (number: string, what: string) => void

class Seen {
  readonly final: Final
  readonly appends: ReadonlyArray<Append>
  readonly reads: ReadonlyArray<Read>
  readonly operations: ReadonlyArray<Operation>
  readonly deletes: ReadonlyArray<Operation>
  /** The offset of each key in the final log. */
  readonly at: ReadonlyMap<string, number>

  constructor(final: Final, operations: ReadonlyArray<Operation>) {
    this.final = final
    this.operations = operations
    this.appends = operations.filter((operation) => operation.op === "append")
    this.reads = operations.filter((operation) => operation.op === "read" && operation.outcome === "ok") as Array<Read>
    this.deletes = operations.filter(({ op, outcome }) => op === "delete" && outcome !== "refused")
    this.at = new Map(final.events.map(({ key, offset }) => [key, offset]))
  }

  /**
   * Whether the append must be there (true), must not (false), or may (undefined): the stream may have been deleted.
   */
  isKept({ complete, invoke, outcome }: Append): boolean | undefined {
    if (outcome === "refused") return false
    if (this.deletes.some((gone) => gone.outcome === "ok" && complete < gone.invoke && outcome === "ok")) return false
    return outcome === "ok" && this.deletes.every((gone) => gone.complete < invoke && gone.outcome === "ok")
      ? true
      : undefined
  }
}

/** C3: offsets count from 0, and no key is there twice. */
const checkOffsets = ({ at, final }: Seen, complain: Complain) => {
  final.events.forEach(({ offset }, i) => {
    if (offset !== i) complain("C3", `event ${i} has offset ${offset}`)
  })
  if (at.size !== final.events.length) complain("C1", `${final.events.length - at.size} events are there twice`)
}

/** C1, C2, C14: every acknowledged event is there, once, at its acknowledged offset; no other event is there. */
const checkPlaces = (stream: Seen, complain: Complain) => {
  const known = new Set<string>()
  for (const append of stream.appends) {
    const kept = stream.isKept(append)
    append.keys.forEach((key, i) => {
      known.add(key)
      const at = stream.at.get(key)
      if (kept === true && at === undefined) complain("C1", `${key} was acknowledged and is not there`)
      if (kept === false && at !== undefined) {
        complain(
          append.outcome === "ok" ? "C14" : "C2",
          `${key} was ${append.outcome === "ok" ? "deleted" : "refused"} and is there`
        )
      }
      if (kept === true && at !== undefined && append.offset !== undefined && at !== append.offset + i) {
        complain("C1", `${key} was acknowledged at ${append.offset + i} and is at ${at}`)
      }
    })
  }
  for (const { key } of stream.final.events) if (!known.has(key)) complain("C2", `no client appended ${key}`)
}

/** Returns when the event at each offset was sent, and when it was answered. */
const times = (stream: Seen) =>
  stream.appends.flatMap((append) =>
    append.keys.flatMap((key) => {
      const offset = stream.at.get(key)
      const complete = append.outcome === "ok" ? append.complete : Infinity
      return offset === undefined ? [] : [{ key, offset, invoke: append.invoke, complete }]
    })
  )

/** C4: an event that was answered before another one was sent lies before it. */
const checkRealTime = (stream: Seen, complain: Complain) => {
  let least = Infinity
  for (const { complete, invoke, key } of times(stream).toSorted((one, other) => other.offset - one.offset)) {
    if (least < invoke) complain("C4", `${key} was sent after an event behind it was answered`)
    least = Math.min(least, complete)
  }
}

/**
 * C5, C6, C7: a read shows every event answered before it began, none sent after it ended, and no fewer than an earlier
 * read.
 */
const checkReads = (stream: Seen, complain: Complain) => {
  const all = times(stream)
  const answered = greatest(all.map(({ complete, offset }) => [complete, offset + 1]))
  const asked = greatest(all.map(({ invoke, offset }) => [invoke, offset + 1]))
  const read = greatest(stream.reads.map(({ complete, from, keys }) => [complete, from + keys.length]))
  for (const { complete, from, invoke, keys, client } of stream.reads) {
    const tail = from + keys.length
    if (tail < answered(invoke)) {
      complain("C5", `${client} read to ${tail} when ${answered(invoke)} were acknowledged`)
    }
    if (tail > asked(complete)) complain("C5", `${client} read to ${tail} before any client had appended that far`)
    if (tail < read(invoke)) {
      complain("C6", `${client} read to ${tail} after another read to ${read(invoke)}`)
    }
    keys.forEach((key, i) => {
      if (stream.at.get(key) !== from + i) complain("C7", `${client} was shown ${key} at ${from + i}`)
    })
  }
}

/** Returns the greatest value of all pairs before a time. */
const greatest = (pairs: ReadonlyArray<readonly [time: number, value: number]>) => {
  const sorted = pairs.filter(([time]) => time < Infinity).toSorted(([one], [other]) => one - other)
  let most = 0
  const greatest = sorted.map(([, value]) => most = Math.max(most, value))
  return (time: number): number => {
    let low = 0
    let high = sorted.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (sorted[middle]![0] < time) low = middle + 1
      else high = middle
    }
    return greatest[low - 1] ?? 0
  }
}

/** C8: the events of one append are there as a whole, in one piece, or not at all. */
const checkCommits = ({ appends, at }: Seen, complain: Complain) => {
  for (const { keys } of appends) {
    const places = keys.map((key) => at.get(key))
    if (places.every((place) => place === undefined)) continue
    if (places.some((place, i) => place === undefined || place !== places[0]! + i)) {
      complain("C8", `the events ${keys.join(", ")} are at ${places.join(", ")}`)
    }
  }
}

/** C9: an append with a condition lies at the offset of its condition. */
const checkConditions = (stream: Seen, complain: Complain) => {
  for (const { ifMatch, keys, offset, outcome } of stream.appends) {
    if (ifMatch === undefined || outcome !== "ok") continue
    if (offset !== ifMatch) complain("C9", `${keys[0]} must be at ${ifMatch} and is at ${offset}`)
  }
}

/** C10: a closed stream takes no more events, and stays closed. */
const checkClosings = (stream: Seen, complain: Complain) => {
  if (stream.deletes.length > 0) return
  const closings = stream.operations.filter((operation) =>
    operation.outcome === "ok" && (operation.op === "close" || (operation.op === "append" && operation.closes === true))
  )
  if (closings.length === 0) return
  if (!stream.final.closed) complain("C10", "the stream was closed, and is open")
  const closed = Math.min(...closings.map(({ complete }) => complete))
  for (const { invoke, keys, outcome, repeated } of stream.appends) {
    if (outcome === "ok" && repeated !== true && invoke > closed) {
      complain("C10", `${keys[0]} was appended to the closed stream`)
    }
  }
  const last = closings.find((closing): closing is Append => closing.op === "append")
  if (last !== undefined && stream.final.events.at(-1)?.key !== last.keys.at(-1)) {
    complain("C10", `${last.keys.at(-1)} must be the last event, and is not`)
  }
}

/** C11: a producer's events lie in the order of their numbers, each number once, none left out. */
const checkProducers = (stream: Seen, complain: Complain) => {
  if (stream.deletes.length > 0) return
  const byLife = Map.groupBy(
    stream.appends.filter(({ keys, producer }) => producer !== undefined && stream.at.has(keys[0]!)),
    ({ producer }) => `${producer!.id} ${producer!.epoch}`
  )
  for (const [life, appends] of byLife) {
    const first = new Map(appends.map((append) => [append.keys[0]!, append]))
    const inOrder = [...first.values()].toSorted((one, other) =>
      stream.at.get(one.keys[0]!)! - stream.at.get(other.keys[0]!)!
    )
    inOrder.forEach(({ keys, producer }, i) => {
      if (producer!.seq !== i) complain("C11", `${life}: ${keys[0]} has number ${producer!.seq} and is the ${i + 1}th`)
    })
  }
}

/** C16: an append is refused only for a reason, and every request is answered in time. */
const checkAnswers = ({ appends, operations }: Seen, complain: Complain) => {
  const ends = operations.filter((operation) =>
    operation.op !== "read" && (operation.op !== "append" || operation.closes)
  )
  const made = Math.min(...appends.filter(({ outcome }) => outcome === "ok").map(({ complete }) => complete))
  for (const { complete, ifMatch, invoke, keys, outcome, producer, status } of appends) {
    // A producer retries a numbered append for as long as there is no server.
    if (outcome === "unknown" && producer === undefined && complete - invoke >= patienceMillis) {
      complain("C16", `${keys[0]} was not answered in ${Math.round(complete - invoke)} ms`)
    }
    if (status < 400) continue
    const hasReason = ifMatch !== undefined || ends.some((end) => end.invoke < complete) ||
      // The request that creates the stream may have been cut off.
      (status === 404 && invoke < made)
    if (status >= 500 || !hasReason) complain("C16", `${keys[0]} was answered with ${status}`)
  }
}

/** C12: a follower sees every event from its first offset on, once, in order. */
const checkFollow = (stream: Seen, { client, from, seen }: Follow, complain: Complain) => {
  seen.forEach(({ key, offset }, i) => {
    if (offset !== from + i) complain("C12", `${client} was shown ${offset} when ${from + i} was next`)
    if (stream.final.events[offset]?.key !== key) complain("C7", `${client} was shown ${key} at ${offset}`)
  })
}
