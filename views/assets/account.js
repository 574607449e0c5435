// Revokes a token without reloading the page. Without this script, the form does it.

const result = document.querySelector('#result')

for (const form of document.querySelectorAll('form[data-token]')) {
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    const { token, name } = form.dataset
    const button = form.querySelector('button')
    button.disabled = true
    result.textContent = ''
    try {
      const response = await fetch(`/api/tokens/${token}`, { method: 'DELETE', signal: AbortSignal.timeout(15_000) })
      if (response.status === 401) return location.reload()
      // 404: the token is revoked already.
      if (!response.ok && response.status !== 404) throw new Error(`status ${response.status}`)
      form.closest('li').remove()
      result.textContent = `“${name}” is revoked.`
      document.querySelector('#no-tokens').hidden = document.querySelector('form[data-token]') !== null
      // The focused button has been removed with its row.
      document.querySelector('#tokens').focus()
    } catch (error) {
      console.error(error)
      button.disabled = false
      result.textContent = `“${name}” could not be revoked. Check the connection and try again.`
    }
  })
}
