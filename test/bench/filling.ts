/**
 * Streams with something in them: small events, written singly or in batches through our own server's native route.
 */
import { message } from "./contestants.ts"
import { post } from "./load.ts"
import type { ServerProcess } from "./servers.ts"

export type Written = "singly" | "in batches"

/** In one request of a batch. */
const perRequest = 100

/** As small as events are, so that what is done for each of them shows. */
export const eventBytes = 50

/** Appends so many events, a hundred or one a request, with enough connections that the server is kept busy. */
export const fill = async (server: ServerProcess, stream: string, events: number, written: Written): Promise<void> => {
  const to = { port: server.port, paths: [`/streams/${stream}`] }
  if (written === "singly") {
    await post({ ...to, body: `{"data":${message(eventBytes)}}`, connections: Math.min(256, events) }, events)
  } else {
    const body = Array.from({ length: perRequest }, () => message(eventBytes)).join("\n")
    await post({ ...to, body, contentType: "application/x-ndjson", connections: 4 }, events / perRequest)
  }
}

/** So many streams of one event each. */
export const makeMany = (server: ServerProcess, count: number): Promise<unknown> =>
  post({
    port: server.port,
    paths: Array.from({ length: count }, (_, i) => `/streams/present-${i}`),
    body: `{"data":${message(eventBytes)}}`,
    connections: 32
  }, count)
