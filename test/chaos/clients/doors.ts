/**
 * Two ways into a server: the native API, and the protocol, which other servers speak as well.
 */
import type * as http from "node:http"
import { offsetOf } from "../../support/names.ts"
import type { Result } from "../harness/ledger.ts"
import type { Asked } from "./ask.ts"
import { ask } from "./ask.ts"

export interface Appending {
  readonly keys: ReadonlyArray<string>
  /** Bytes added to each event. */
  readonly padding?: number | undefined
  readonly producer?: { readonly id: string; readonly epoch: number; readonly seq: number } | undefined
  readonly ifMatch?: number | undefined
  readonly closes?: boolean | undefined
}

interface Appended {
  readonly outcome: Result
  readonly status: number
  readonly offset: number | undefined
  readonly repeated: boolean
}

export interface Door {
  readonly name: string
  /** Creates the stream if the first append does not create it. */
  readonly create: (port: number, stream: string) => Promise<Result>
  readonly append: (port: number, stream: string, appending: Appending, agent?: http.Agent) => Promise<Appended>
  /** Returns the keys from an event on; undefined if there was no whole answer. A 404 counts as no keys. */
  readonly read: (port: number, stream: string, from: number) => Promise<Contents | undefined>
  readonly close: (port: number, stream: string) => Promise<{ readonly outcome: Result; readonly status: number }>
  readonly delete: (port: number, stream: string) => Promise<{ readonly outcome: Result; readonly status: number }>
}

interface Contents {
  readonly status: number
  readonly events: ReadonlyArray<{ readonly offset: number; readonly key: string }>
  readonly closed: boolean | undefined
}

/** After a 5xx the append may or may not be stored, except for the two statuses that say that nothing was stored. */
const resultOf = (answer: Asked | undefined): Result =>
  answer === undefined
    ? "unknown"
    : answer.status === 0
    ? "refused"
    : answer.status < 300
    ? "ok"
    : answer.status < 500 || (answer.status === 507 || answer.status === 503)
    ? "refused"
    : "unknown"

/** Returns the answer if it says something about the stream. */
const sound = (answer: Asked | undefined): Asked | undefined =>
  answer === undefined || answer.status === 0 || answer.status >= 500 ? undefined : answer

const toOutcome = (answer: Asked | undefined) => ({ outcome: resultOf(answer), status: answer?.status ?? 0 })

const dataOf = (key: string, padding = 0): string =>
  `{"key":"${key}"${padding === 0 ? "" : `,"padding":"${"x".repeat(padding)}"`}}`

const conditionHeaders = ({ closes, ifMatch, producer }: Appending): Record<string, string> => ({
  ...(producer === undefined ? {} : {
    "producer-id": producer.id,
    "producer-epoch": String(producer.epoch),
    "producer-seq": String(producer.seq)
  }),
  ...(ifMatch === undefined ? {} : { "if-match": `"${offsetOf(ifMatch)}"` }),
  ...(closes === true ? { "stream-closed": "true" } : {})
})

export const protocolPath = (stream: string): string => `/v1/stream/${encodeURIComponent(stream)}`

/**
 * Protocol offsets differ from server to server, so a client learns the position of an event by reading from the
 * beginning.
 */
export const protocolDoor: Door = {
  name: "protocol",
  create: async (port, stream) =>
    resultOf(await ask(port, protocolPath(stream), { method: "PUT", headers: { "content-type": "application/json" } })),
  append: async (port, stream, appending, agent) => {
    const answer = await ask(port, protocolPath(stream), {
      method: "POST",
      headers: { "content-type": "application/json", ...conditionHeaders(appending) },
      body: `[${appending.keys.map((key) => dataOf(key, appending.padding)).join(",")}]`,
      ...(agent === undefined ? {} : { agent })
    })
    const repeated = appending.producer !== undefined && answer?.status === 204
    return { ...toOutcome(answer), offset: undefined, repeated }
  },
  read: async (port, stream) => {
    const events: Array<{ offset: number; key: string }> = []
    let offset = "-1"
    while (true) {
      const answer = sound(await ask(port, `${protocolPath(stream)}?offset=${encodeURIComponent(offset)}`))
      if (answer === undefined) return undefined
      if (answer.status >= 400) return { status: answer.status, events: [], closed: undefined }
      const values = answer.text === "" ? [] : JSON.parse(answer.text) as ReadonlyArray<{ readonly key: string }>
      for (const { key } of values) events.push({ offset: events.length, key })
      const closed = answer.headers["stream-closed"] === "true"
      const next = answer.headers["stream-next-offset"] as string
      if (answer.headers["stream-up-to-date"] === "true" || next === offset) return { status: 200, events, closed }
      offset = next
    }
  },
  close: async (port, stream) =>
    toOutcome(await ask(port, protocolPath(stream), { method: "POST", headers: { "stream-closed": "true" } })),
  delete: async (port, stream) => toOutcome(await ask(port, protocolPath(stream), { method: "DELETE" }))
}

export const nativeDoor: Door = {
  ...protocolDoor,
  name: "native",
  // The first append creates the stream.
  create: () => Promise.resolve("ok"),
  append: async (port, stream, appending, agent) => {
    const { keys, padding } = appending
    const single = keys.length === 1
    const answer = await ask(port, `/streams/${encodeURIComponent(stream)}`, {
      method: "POST",
      headers: {
        "content-type": single ? "application/json" : "application/x-ndjson",
        ...conditionHeaders(appending)
      },
      body: single ? `{"data":${dataOf(keys[0]!, padding)}}` : keys.map((key) => dataOf(key, padding)).join("\n"),
      ...(agent === undefined ? {} : { agent })
    })
    const { outcome, status } = toOutcome(answer)
    if (answer === undefined || outcome !== "ok") return { outcome, status, offset: undefined, repeated: false }
    const said = JSON.parse(answer.text) as { readonly offset?: string; readonly repeated?: boolean }
    return {
      outcome,
      status,
      offset: said.offset === undefined ? undefined : Number(said.offset),
      repeated: said.repeated === true
    }
  },
  read: async (port, stream, from) => {
    const path = `/streams/${encodeURIComponent(stream)}/events?offset=${offsetOf(from)}`
    const answer = sound(await ask(port, path, { headers: { accept: "application/x-ndjson" } }))
    if (answer === undefined) return undefined
    if (answer.status >= 400) return { status: answer.status, events: [], closed: undefined }
    return { status: 200, events: answer.text.split("\n").slice(0, -1).map(toSeen), closed: undefined }
  }
}

/** Reads the offset and the key out of an event's text. */
export const toSeen = (text: string): { readonly offset: number; readonly key: string } => {
  const event = JSON.parse(text) as { readonly offset: string; readonly data: { readonly key: string } }
  return { offset: Number(event.offset), key: event.data.key }
}
