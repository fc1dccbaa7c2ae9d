/**
 * A command that means the server of one data directory names the directory, and every other server refuses it: between two
 * requests, another server can have come to the port (docs/protocol.md 7).
 */
import { Effect } from "effect"
import { directoryHeader, toDirectoryHeader } from "../../api/wire.ts"
import { OtherServer } from "../../domain/errors.ts"
import type { Gate } from "../../http/gates.ts"

/** `dataDirectory` is this server's own, links resolved. */
export const directoryGate = (dataDirectory: string): Gate => {
  const own = toDirectoryHeader(dataDirectory)
  return {
    stage: "origin",
    pass: (request) => {
      const meant = request.header(directoryHeader)
      return meant === undefined || meant === own ? Effect.void : Effect.fail(new OtherServer())
    }
  }
}
