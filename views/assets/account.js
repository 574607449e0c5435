document.querySelector('#sign-out').addEventListener('click', async () => {
  const result = document.querySelector('#result')
  try {
    const response = await fetch('/api/session', { method: 'DELETE' })
    if (!response.ok) throw new Error()
    location.assign('/signin')
  } catch {
    result.textContent = 'Signing out did not work. Check the connection and try again.'
  }
})
