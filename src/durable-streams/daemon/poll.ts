/**
 * How often a command looks whether a server has come or gone.
 */

/** Often enough that a person does not notice the wait, seldom enough that it costs nothing. */
export const pollEvery = "25 millis"
