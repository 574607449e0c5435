/** Requests as the bytes of HTTP/1.1: built once, sent many times. */

/** A placeholder of the length of a job id, so that a request's length is known before its job exists. */
export const JOB_ID = '00000000-0000-7000-8000-JOB-ID-HERE-'

const get = (path: string, headers = '') => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n${headers}\r\n`
const bearer = (token: string) => `authorization: Bearer ${token}\r\n`

const post = (path: string, token: string, body: object) => {
  const text = JSON.stringify(body)
  const headers = `${bearer(token)}content-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n`
  return `POST ${path} HTTP/1.1\r\nhost: localhost\r\n${headers}\r\n${text}`
}

const PREVIEW = { description: 'Render preview clip', previewUrl: 'https://video.example.com/previews/abc123.jpg' }
const RESERVE = { app: 'video', action: 'render', cost_estimate: 5, metadata: PREVIEW }
const COMPLETE = { job_id: JOB_ID, actual_cost: 3, metadata: { durationMs: 1200 } }

/** Reserves and then completes the same job, as every app does and as limit-job.sql does. */
export const jobsOf = (tokens: string[]) => ({
  requests: tokens.map((token) => post('/api/jobs', token, RESERVE)),
  followUps: tokens.map((token) => post('/api/jobs/complete', token, COMPLETE)),
  expected: 200,
})

/** GET requests for one path by many people. */
export const readsOf = (path: string, tokens: string[]) => ({
  requests: tokens.map((token) => get(path, bearer(token))),
  expected: 200,
})

/** Requests without a token. */
export const opens = (paths: string[], expected = 200) => ({ requests: paths.map((path) => get(path)), expected })
