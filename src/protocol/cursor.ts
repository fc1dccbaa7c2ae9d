/**
 * Cursors of live answers (docs/protocol.md 15): they change with time, so that no cache between client and server gives a
 * waiting client the same old answer for ever. Clients send them back without reading them, so a cursor also carries the
 * life of its stream: the server refuses a client that comes from another life (promise 10).
 */
import { Clock, Effect, Random } from "effect"

const intervalMillis = 20_000
const epoch = Date.UTC(2024, 9, 9)
/** An hour: clients whose cursors are ahead are spread over it. */
const jitterMax = 3600_000 / intervalMillis

/** The last 24 bits of a cursor name the life; two lives have the same bits once in 16 million times. */
const lives = 2 ** 24
/** Greater intervals come after the year 2194: a cursor with one would be a number that not every client holds exactly. */
const intervalsMax = 2 ** 28
/** A cursor below this interval is a bare interval, as other servers of the protocol write it, and names no life. */
const intervalsMin = 1

/** The cursor for a client that sent `given`. A text that is no cursor is ignored. */
export const nextCursor = Effect.fnUntraced(function*(given: string | undefined, id: string) {
  const current = currentInterval(yield* Clock.currentTimeMillis)
  const client = parse(given)?.interval ?? -1
  return toCursor(client < current ? current : client + (yield* Random.nextIntBetween(1, jitterMax)), id)
})

/** The cursor of a time (milliseconds since 1970) in the life with this id. */
export const cursorOf = (time: number, id: string): number => toCursor(currentInterval(time), id)

/** Whether the client may come from this life: false when its cursor names another one. */
export const isOfLife = (given: string | undefined, id: string): boolean => {
  const cursor = parse(given)
  return cursor === undefined || cursor.life === lifeNumber(id)
}

/** The interval that the time lies in. */
export const currentInterval = (time: number): number =>
  Math.max(intervalsMin, Math.floor((time - epoch) / intervalMillis))

const toCursor = (interval: number, id: string) => interval * lives + lifeNumber(id)

const parse = (given: string | undefined) => {
  if (given === undefined || !/^\d{1,16}$/.test(given)) return undefined
  const number = Number(given)
  const interval = Math.floor(number / lives)
  return interval >= intervalsMin && interval < intervalsMax ? { interval, life: number % lives } : undefined
}

/** FNV-1a, folded. The newest one is kept: a thousand followers need the same one in a row. */
const lifeNumber = (id: string): number => {
  if (id !== newest.id) {
    let hash = 0x811c9dc5
    for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193)
    newest = { id, number: ((hash >>> 24) ^ hash) & (lives - 1) }
  }
  return newest.number
}

let newest = { id: "", number: 0 }
