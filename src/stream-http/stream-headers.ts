/**
 * The headers that every API of streams has, for the pages that may use them: the code of this folder reads and writes them.
 */

/** Headers of requests. */
export const streamReads = [
  "Stream-Life",
  "Stream-Seq",
  "Stream-Closed",
  "Producer-Id",
  "Producer-Epoch",
  "Producer-Seq"
]

/** Headers of answers. */
export const streamExposes = [
  "Stream-Next-Offset",
  "Stream-Life",
  "Stream-Closed",
  "Producer-Epoch",
  "Producer-Seq",
  "Producer-Expected-Seq",
  "Producer-Received-Seq"
]
