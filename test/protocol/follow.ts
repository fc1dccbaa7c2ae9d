/**
 * Helpers that the tests of the real clients share: one follows a JSON stream to a number of messages, one is a fetch
 * that loses answers and asks again.
 */
import { DurableStream, type LiveMode } from "@durable-streams/client"
import type { Target } from "../support/target.ts"

/** A server that is killed is back within a second; clients need not wait longer than that. */
export const backoffOptions = { initialDelay: 20, maxDelay: 200, multiplier: 1.5 }

export const streamAt = (url: string, contentType = "application/json"): DurableStream =>
  new DurableStream({ url, contentType, backoffOptions, warnOnHttp: false })

/** The head of a stream that exists. */
export const headOf = async (stream: DurableStream) => {
  const head = await stream.head()
  if (!head.exists) throw new Error(`There is no ${stream.url}.`)
  return head
}

export interface Followed<A> {
  readonly items: Array<A>
  /** Resolves when this many messages have come. */
  readonly reached: (count: number) => Promise<void>
  /** The offset after the last batch. */
  readonly offset: () => string
  readonly stop: () => void
}

/**
 * Follows from the offset on until `stop`. A connection that is cut is made anew, from the offset after the last
 * batch.
 */
export const follow = async <A>(target: Target, url: string, live: LiveMode, offset = "-1"): Promise<Followed<A>> => {
  const controller = new AbortController()
  const { signal } = controller
  const items: Array<A> = []
  const waiting: Array<{ readonly count: number; readonly resolve: () => void }> = []
  let last = offset
  const connect = async () => {
    const response = await streamAt(url).stream<A>({ live, offset: last, json: true, signal })
    response.subscribeJson((batch) => {
      items.push(...batch.items)
      last = batch.offset
      for (const { count, resolve } of waiting) if (items.length >= count) resolve()
    })
    return response
  }
  const reconnect = async () => {
    if (signal.aborted) return
    await target.running()
    const { closed } = await connect()
    closed.catch(reconnect)
  }
  const { closed } = await connect()
  closed.catch(reconnect)
  return {
    items,
    reached: (count) =>
      items.length >= count ? Promise.resolve() : new Promise((resolve) => waiting.push({ count, resolve })),
    offset: () => last,
    stop: () => controller.abort()
  }
}

/** All messages of the stream, in as many answers as the server makes of them. */
export const readAll = async <A>(url: string, offset = "-1"): Promise<ReadonlyArray<A>> =>
  (await streamAt(url).stream<A>({ live: false, offset, json: true })).json()

/**
 * A fetch that loses answers after the server has given them, and sends a request without an answer again. `loses` gets
 * the number of each answer, from 1, and decides; `onAnswer` gets each answer that came through.
 */
export const stubborn = (
  target: Target,
  loses: (answer: number) => boolean,
  onAnswer: (answer: number, response: Response) => void = () => {}
): typeof fetch => {
  let answers = 0
  let kept = 0
  return async (input, init) => {
    for (;;) {
      try {
        const response = await fetch(input, init)
        if (loses(++answers)) {
          await response.body?.cancel()
          continue
        }
        onAnswer(++kept, response)
        return response
      } catch (error) {
        if (init?.signal?.aborted) throw error
        await target.running()
      }
    }
  }
}
