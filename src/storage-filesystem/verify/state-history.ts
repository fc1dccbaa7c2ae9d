/**
 * Follows the state in a log commit by commit, and finds a state that cannot follow the one before. Servers of 2026 could
 * read a state under wrong keys (V8 took a key with an escape for another), and write it again like that: an append was then
 * made twice, or dropped, and every sum fits. Only the state shows it: it forgets entries, which a right state never does.
 */
import { changesIn } from "../log/state-reader.ts"

export class StateHistory {
  /** Undefined before the first commit with the whole state, and behind damage. */
  #state: Map<string, string> | undefined

  /** Forgets the state: damage lies before the next commit. */
  forget(): void {
    this.#state = undefined
  }

  /** Takes the next commit's entries; returns the end of a sentence if they cannot follow the state before. */
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

/** A right state forgets no producer. It can lose another entry, but not to the key that V8 takes for its key. */
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
