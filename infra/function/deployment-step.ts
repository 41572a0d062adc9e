/** What CloudFormation sends to a custom resource, without the fields that are not read here. */
type StepRequest = {
  RequestType: 'Create' | 'Update' | 'Delete'
  ResponseURL: string
  StackId: string
  RequestId: string
  LogicalResourceId: string
  /** Absent for `Create`. */
  PhysicalResourceId?: string
}

/**
 * Brings the databases up to date as a step of a deployment, and tells CloudFormation how it went. If it fails, the
 * deployment is rolled back before the API has the new release. Removing the stack removes nothing from the databases.
 */
export async function deploymentStep(event: unknown, migrate: () => Promise<void>): Promise<void> {
  if (!isStepRequest(event)) throw new Error('not a request of CloudFormation')
  const { RequestType, ResponseURL, StackId, RequestId, LogicalResourceId, PhysicalResourceId = 'migrations' } = event
  const failure = RequestType === 'Delete' ? undefined : await reasonOf(migrate())
  const outcome = failure === undefined ? { Status: 'SUCCESS' } : { Status: 'FAILED', Reason: failure }
  const answer = await fetch(ResponseURL, {
    method: 'PUT',
    // The address is signed for a request without a media type.
    headers: { 'content-type': '' },
    body: Buffer.from(JSON.stringify({ ...outcome, PhysicalResourceId, StackId, RequestId, LogicalResourceId })),
  })
  if (!answer.ok) throw new Error(`CloudFormation did not take the answer: ${answer.status}`)
}

function isStepRequest(event: unknown): event is StepRequest {
  if (typeof event !== 'object' || event === null) return false
  const { RequestType, ResponseURL } = event as Partial<StepRequest>
  return ['Create', 'Update', 'Delete'].includes(String(RequestType)) && typeof ResponseURL === 'string'
}

/** CloudFormation takes an answer of at most 4 kB. */
const reasonOf = (work: Promise<void>): Promise<string | undefined> =>
  work.then(
    () => undefined,
    (error: unknown) => `The databases could not be brought up to date: ${String(error)}`.slice(0, 2000),
  )
