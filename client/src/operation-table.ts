/* Made of openapi.snapshot.json by `npm run openapi`. Do not edit. */

/**
 * A line for each operation: its id, its method with flags, its path. Methods: G GET, P POST, U PUT, A PATCH, D DELETE. Flags: r: may be
 * repeated; k: accepts an app's key; a: with the key, also `account_id`; f: sends a form; h: a page for people; s: slow.
 */
export const OPERATIONS = `checkHealth G /healthz
checkReadiness G /readyz
getSessionToken G /api/sessionToken
createSession P /api/session
deleteSession D /api/session
listTokens G /api/tokens
createToken P /api/tokens
changeToken A /api/tokens/{id}
revokeToken D /api/tokens/{id}
listGrants G /api/grants
changeGrant Ar /api/grants/{id}
revokeGrant D /api/grants/{id}
getWallet G /api/wallet
listEntries G /api/wallet/entries
createJob Prka /api/jobs
listJobs Gka /api/jobs
getJob Gka /api/jobs/{id}
getUsage G /api/usage
startDeviceLogin P /api/device/start
pollDeviceLoginByQuery G /api/device/poll
pollDeviceLogin Pr /api/device/poll
completeDeviceLogin Pr /api/device/complete
getAuthorizationServerMetadata G /.well-known/oauth-authorization-server
getProtectedResourceMetadata G /.well-known/oauth-protected-resource
requestToken Pf /oauth/token
revokeOAuthToken Prf /oauth/revoke
startDeviceAuthorization Pf /oauth/device_authorization
introspectToken Prkf /oauth/introspect
listOAuthConnections G /api/oauthToken
getOAuthToken G /api/oauthToken/{provider}
getXToken G /api/xToken
getXMe G /api/xMe
completeJob Prka /api/jobs/complete
failJob Prka /api/jobs/fail
heartbeatJob Prka /api/jobs/{id}/heartbeat
listPacks G /api/packs
createPurchase P /api/purchases
listPurchases G /api/purchases
getPurchase G /api/purchases/{id}
setAutoTopup U /api/wallet/auto-topup
removeAutoTopup D /api/wallet/auto-topup
resumeAutoTopup P /api/wallet/auto-topup/resume
openSignInPage Gh /signin
authorize Gh /oauth/authorize`
