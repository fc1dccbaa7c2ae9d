/**
 * What a log says of its stream's state, commit by commit, held against what it said before. Servers of 2026 could read
 * a state under wrong keys (V8 took one with an escape for another), and write it so again: an append was made twice, or
 * dropped, and nothing in the sums shows it. What does show it is that the state forgets, which no right one does.
 */
import { changesIn } from "../log/state-reader.ts"

export class StateHistory {
  /** Undefined before the first commit that has all of the state, and behind damage. */
  #state: Map<string, string> | undefined

  /** What follows is not about this state. */
  forget(): void {
    this.#state = undefined
  }

  /** Takes up what a commit says; a sentence's end where that cannot follow from what was said before. */
  take(text: string, isWhole: boolean): string | undefined {
    const before = this.#state
    const changes = changesIn(text)
    if (changes === undefined) return "is no JSON object"
    if (isWhole) this.#state = new Map(changes.flatMap(([key, value]) => value === undefined ? [] : [[key, value]]))
    if (before === undefined) return undefined
    let problem = isWhole ? lacking(before, this.#state!) : undefined
    for (const [key, value] of changes) {
      const known = before.get(key)
      if (known !== undefined && value !== undefined) problem ??= goingBack(key, known, value, isWhole)
      if (isWhole) continue
      if (value === undefined) before.delete(key)
      else before.set(key, value)
    }
    return problem
  }
}

/** No producer is ever forgotten. Another entry can be taken away, but not for one of the name that was taken for its own. */
const lacking = (before: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): string | undefined => {
  for (const key of before.keys()) {
    if (now.has(key)) continue
    const mistaken = JSON.stringify(key).slice(1, key.length + 1)
    const isMistaken = mistaken !== key && now.has(mistaken) && !before.has(mistaken)
    if (key.startsWith(producerPrefix) || isMistaken) return `lacks ${JSON.stringify(key)}, which was there before`
  }
  return undefined
}

/** A producer's numbers only grow. */
const goingBack = (key: string, before: string, now: string, orStay: boolean): string | undefined => {
  if (!key.startsWith(producerPrefix)) return undefined
  const [epoch, seq] = numbersOf(before)
  const [newEpoch, newSeq] = numbersOf(now)
  const isNewer = newEpoch > epoch || (newEpoch === epoch && newSeq > seq)
  if (isNewer || (orStay && newEpoch === epoch && newSeq === seq)) return undefined
  return `has ${now} of ${JSON.stringify(key)}, which had come to ${before} before`
}

const numbersOf = (value: string): readonly [epoch: number, seq: number] => {
  const found = /^\[(\d+),(\d+)\]$/.exec(value)
  return found === null ? [Number.NaN, Number.NaN] : [Number(found[1]), Number(found[2])]
}

const producerPrefix = "producer:"
