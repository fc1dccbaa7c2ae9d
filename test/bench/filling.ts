/**
 * Fills streams with small events, singly or in batches, through our server's native route.
 */
import { message } from "./contestants.ts"
import { post } from "./load.ts"
import type { ServerProcess } from "./servers.ts"

export type Written = "singly" | "in batches"

/** The number of events in one batch request. */
const perRequest = 100

/** As small as events are, so that the cost per event shows. */
export const eventBytes = 50

/** Appends `events` events, a hundred or one a request, with enough connections to keep the server busy. */
export const fill = async (server: ServerProcess, stream: string, events: number, written: Written): Promise<void> => {
  const to = { port: server.port, paths: [`/streams/${stream}`] }
  if (written === "singly") {
    await post({ ...to, body: `{"data":${message(eventBytes)}}`, connections: Math.min(256, events) }, events)
  } else {
    const body = Array.from({ length: perRequest }, () => message(eventBytes)).join("\n")
    await post({ ...to, body, contentType: "application/x-ndjson", connections: 4 }, events / perRequest)
  }
}

/** Creates `count` streams of one event each. */
export const makeMany = (server: ServerProcess, count: number): Promise<unknown> =>
  post({
    port: server.port,
    paths: Array.from({ length: count }, (_, i) => `/streams/present-${i}`),
    body: `{"data":${message(eventBytes)}}`,
    connections: 32
  }, count)
