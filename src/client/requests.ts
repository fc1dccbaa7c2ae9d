/**
 * How the client sends a request. Browser-safe.
 */
import { Effect } from "effect"
// Module by module: all of effect/http would be a third of what a command loads.
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import { answerTimeout } from "./answer-bounds.ts"

/** Sends the request to the server that `meant` names; fails if no answer begins in time. */
export const send = <E>(
  request: HttpClientRequest.HttpClientRequest,
  meant: Readonly<Record<string, string>>,
  unreachable: (cause: unknown) => E
): Effect.Effect<HttpClientResponse.HttpClientResponse, E, HttpClient.HttpClient> =>
  HttpClient.execute(HttpClientRequest.setHeaders(request, meant)).pipe(
    // No server of ours reads the headers of a trace, and none lets a page of another origin send them (CORS).
    Effect.provideService(HttpClient.TracerPropagationEnabled, false),
    Effect.mapError(unreachable),
    Effect.timeoutOrElse({ duration: answerTimeout, orElse: () => Effect.fail(unreachable("silent")) })
  )

/** A query, with its question mark, of the parameters that are given. */
export const queryOf = (parameters: object): string => {
  const query = new URLSearchParams()
  for (const [key, value] of Object.entries(parameters)) {
    if (value !== undefined) query.set(key, String(value))
  }
  return query.size === 0 ? "" : `?${query}`
}

/** The headers that are given: a flag as `true`, or not at all. */
export const headersOf = (values: Readonly<Record<string, string | number | boolean | undefined>>) =>
  Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) =>
      value === undefined || value === false ? [] : [[name, String(value)]]
    )
  )
