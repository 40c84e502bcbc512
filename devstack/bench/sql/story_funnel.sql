-- What became of a campaign's messages.
SELECT count(), countIf(delivered IS NOT NULL), countIf(first_open IS NOT NULL), countIf(first_click IS NOT NULL) FROM campaign_messages WHERE campaign = '{{value}}'
