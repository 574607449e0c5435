/* Made of openapi.snapshot.json by `npm run openapi`. Do not edit. */

/** The operations of administrators, in the format of operation-table.ts. */
export const ADMIN_OPERATIONS = `getTotalUsage G /api/admin/usage
adjustCredits Pr /api/admin/credits
revokeAccountTokens Pr /api/admin/accounts/revoke-tokens
closeAccount P /api/admin/accounts/close
eraseAccount P /api/admin/accounts/erase
verifyLedger Gs /api/admin/verify
listAccounts G /api/admin/accounts
getAccount G /api/admin/accounts/{id}
listAccountEntries G /api/admin/accounts/{id}/entries
listAccountJobs G /api/admin/accounts/{id}/jobs
listAccountTokens G /api/admin/accounts/{id}/tokens
listAccountGrants G /api/admin/accounts/{id}/grants
listAccountPurchases G /api/admin/accounts/{id}/purchases
revokeTokenOfAccount D /api/admin/accounts/{id}/tokens/{token_id}
revokeGrantOfAccount D /api/admin/accounts/{id}/grants/{grant_id}
setApp U /api/admin/apps/{slug}
listApps G /api/admin/apps
listAllJobs G /api/admin/jobs
getAnyJob G /api/admin/jobs/{id}
refundJob Pr /api/admin/jobs/{id}/refund
endJob P /api/admin/jobs/{id}/end
createServiceKey P /api/admin/keys
listServiceKeys G /api/admin/keys
revokeServiceKey D /api/admin/keys/{id}
getOverview G /api/admin/overview
listActions G /api/admin/audit
listAllPacks G /api/admin/packs
setPack Ur /api/admin/packs/{slug}
removePack D /api/admin/packs/{slug}
listAllPurchases G /api/admin/purchases
createWebhookEndpoint P /api/admin/apps/{slug}/webhooks
listWebhookEndpoints G /api/admin/apps/{slug}/webhooks
getWebhookEndpoint G /api/admin/webhooks/{id}
updateWebhookEndpoint Ar /api/admin/webhooks/{id}
deleteWebhookEndpoint D /api/admin/webhooks/{id}
rotateWebhookSecret P /api/admin/webhooks/{id}/rotate
sendTestWebhook P /api/admin/webhooks/{id}/test
listWebhookDeliveries G /api/admin/webhooks/{id}/deliveries
listDeadWebhookMessages G /api/admin/webhooks/dead
replayWebhookMessages P /api/admin/webhooks/replay
dismissDeadWebhookMessages P /api/admin/webhooks/dismiss`
